-- Balances and movements of credits, written by the sink credits-statements.
-- depends: 0001-positions

-- migrate: apply

CREATE SCHEMA credits;

CREATE TABLE credits.accounts (
    tenant_id text PRIMARY KEY,
    balance bigint NOT NULL,
    reserved_funds bigint NOT NULL,
    total_spent bigint NOT NULL,
    total_purchased bigint NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL
);

COMMENT ON TABLE credits.accounts IS 'Each tenant''s account: the last record of the topic credits.accounts.';
COMMENT ON COLUMN credits.accounts.source_offset IS 'The offset of that record in partition source_partition of its topic.';

CREATE TABLE credits.transactions (
    transaction_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    partition integer NOT NULL,
    input_offset bigint NOT NULL,
    batch_index smallint,
    type text NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    at timestamptz NOT NULL,
    idempotency_key text NOT NULL,
    description text NOT NULL,
    refunds text
);

-- The order of the ledger within a tenant, which has one home partition. Statements read along it.
CREATE INDEX transactions_of_tenant ON credits.transactions (tenant_id, input_offset, batch_index NULLS FIRST);

COMMENT ON TABLE credits.transactions IS 'Every movement of credits: the records of the topic credits.transactions.';
COMMENT ON COLUMN credits.transactions.amount IS 'Positive where the balance grew, negative where it fell.';
COMMENT ON COLUMN credits.transactions.balance IS 'The balance after the movement.';
COMMENT ON COLUMN credits.transactions.input_offset IS 'The offset of the command in credits.commands; batch_index is its index in a batch.';

-- migrate: rollback

DROP SCHEMA credits CASCADE;
DELETE FROM shieldx.positions WHERE sink = 'credits-statements';
DELETE FROM shieldx.unreadable WHERE sink = 'credits-statements';
