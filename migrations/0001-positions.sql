-- The position of each sink, and the records that it could not read.
-- depends:

-- migrate: apply

CREATE SCHEMA IF NOT EXISTS shieldx;

CREATE TABLE shieldx.positions (
    sink text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    cluster_id text NOT NULL,
    record_at timestamptz,
    moved_at timestamptz,
    topic_id text,
    PRIMARY KEY (sink, topic, partition)
);

COMMENT ON TABLE shieldx.positions IS 'The next record that each sink will write, committed in the transaction of its rows.';
COMMENT ON COLUMN shieldx.positions.cluster_id IS 'The Kafka cluster that the offsets belong to.';
COMMENT ON COLUMN shieldx.positions.topic_id IS 'The id of the topic that the offset belongs to; null if any topic of that name will do.';
COMMENT ON COLUMN shieldx.positions.record_at IS 'When the last written record was appended to its topic.';

CREATE TABLE shieldx.unreadable (
    sink text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    length integer,
    sha256 text,
    reason text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition, record_offset)
);

COMMENT ON TABLE shieldx.unreadable IS 'Records that a sink could not write. They stay in their topics; length and digest are of the value.';

-- migrate: rollback

DROP TABLE shieldx.unreadable;
DROP TABLE shieldx.positions;
DROP SCHEMA shieldx;
