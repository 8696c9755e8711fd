"""ShieldX: metering, audit and web defence as stateful agents on Kafka."""
