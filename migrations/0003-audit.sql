-- The mirror of the audit log, written by the sink audit-mirror and never changed.
-- depends: 0002-credits

-- migrate: apply

CREATE SCHEMA audit;

CREATE TABLE audit.entries (
    shard integer NOT NULL,
    sequence bigint NOT NULL,
    logged_at timestamptz NOT NULL,
    format smallint NOT NULL,
    tenant_id text,
    actor text,
    action text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL,
    idempotency_key text NOT NULL,
    occurred_at text NOT NULL,
    source text,
    digest text,
    payload text,
    input text NOT NULL,
    key_id text NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    mac bytea NOT NULL,
    exact bytea,
    PRIMARY KEY (shard, sequence, logged_at)
) PARTITION BY RANGE (logged_at);

CREATE INDEX entries_of_tenant ON audit.entries (tenant_id, logged_at);
CREATE INDEX entries_by_time ON audit.entries USING brin (logged_at);
-- By hash: the length of an actor's name is unbounded, and a B-tree refuses a long one.
CREATE INDEX entries_of_actor ON audit.entries USING hash (actor) WHERE actor IS NOT NULL;

COMMENT ON TABLE audit.entries IS 'The entries of the topic audit.log. Rows are only ever added.';
COMMENT ON COLUMN audit.entries.logged_at IS 'Stream time, `at` in the topic: exact to the millisecond.';
COMMENT ON COLUMN audit.entries.occurred_at IS 'The appender''s own time, as received.';
COMMENT ON COLUMN audit.entries.exact IS 'The record''s value if a text has U+0000, which the text columns show as U+FFFD.';

CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of %.% is refused: entries of the audit log stay as they are', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'prohibited_sql_statement_attempted';
END $$;

CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON audit.entries
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
-- ALWAYS: session_replication_role = replica skips other triggers.
ALTER TABLE audit.entries ENABLE ALWAYS TRIGGER no_change;
ALTER TABLE audit.entries ENABLE ALWAYS TRIGGER no_truncate;

REVOKE ALL ON audit.entries FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES ON audit.entries FROM CURRENT_USER;

-- Runs with its owner's rights, which the sink's user lacks; all it can do is create a month's partition.
-- CREATE TABLE … PARTITION OF would lock out every writer of the table, and writers would deadlock. ATTACH lets them
-- continue, and the advisory lock lets one at a time attach.
CREATE FUNCTION audit.make_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_month CONSTANT date := '1970-01-01';
    last_month CONSTANT date := '9999-12-01';
    name text;
BEGIN
    IF month IS NULL OR month < first_month OR month > last_month OR extract(day FROM month) <> 1 THEN
        RAISE EXCEPTION '% is not the first day of a month from % to %', coalesce(month::text, 'NULL'), first_month, last_month
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    name := 'entries_' || to_char(month, 'YYYY_MM');
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relname = name AND relispartition) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('audit.make_partition', 0));
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'audit'::regnamespace AND relname = name AND relispartition) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE audit.%I (LIKE audit.entries)', name);
    EXECUTE format(
        'ALTER TABLE audit.entries ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)',
        name,
        to_char(month, 'YYYY-MM-DD 00:00:00+00'),
        to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00')
    );
    -- Row triggers are inherited; this statement trigger is not.
    EXECUTE format(
        'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()',
        name
    );
    EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER no_truncate', name);
    EXECUTE format('REVOKE ALL ON audit.%I FROM PUBLIC', name);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES ON audit.%I FROM CURRENT_USER', name);
END $$;

REVOKE ALL ON FUNCTION audit.make_partition(date), audit.refuse_change() FROM PUBLIC;

-- migrate: rollback

DROP SCHEMA audit CASCADE;
DELETE FROM shieldx.positions WHERE sink = 'audit-mirror';
DELETE FROM shieldx.unreadable WHERE sink = 'audit-mirror';
