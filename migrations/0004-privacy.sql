-- Sealed personal data of movements, written by credits-statements, and destroyed keys, written by privacy-erasures.
-- depends: 0003-audit

-- migrate: apply

CREATE TABLE credits.personal_data (
    transaction_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    key_id text NOT NULL,
    payment text,
    personal text
);

CREATE INDEX personal_data_of_key ON credits.personal_data (key_id);

COMMENT ON TABLE credits.personal_data IS 'The payment of a purchase, or the personal data of a consume: JSON, sealed with the key key_id. Rows go when it is erased.';

CREATE SCHEMA privacy;

CREATE TABLE privacy.erased_keys (
    tenant_id text NOT NULL,
    key_id text NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);

COMMENT ON TABLE privacy.erased_keys IS 'The data keys that erasures have destroyed: the records of the topic privacy.erasures.';

-- Rows of an erased key go, whichever of the two sinks is ahead. They run at the same time, and neither sees what the
-- other has not committed; the advisory lock makes one wait for the other. It is taken before any row is locked, or the
-- two could wait for each other.
CREATE FUNCTION privacy.one_at_a_time() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'erased_keys' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('privacy.erased_keys', 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('privacy.erased_keys', 0));
    END IF;
    RETURN NULL;
END $$;

-- These functions run with their owner's rights: neither sink's user may delete from the other's table.
CREATE FUNCTION privacy.delete_erased() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credits.personal_data USING erased
        WHERE personal_data.key_id = erased.key_id AND personal_data.tenant_id = erased.tenant_id;
    RETURN NULL;
END $$;

CREATE FUNCTION privacy.delete_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM written) THEN
        DELETE FROM credits.personal_data USING written, privacy.erased_keys
            WHERE personal_data.transaction_id = written.transaction_id
            AND erased_keys.key_id = written.key_id AND erased_keys.tenant_id = written.tenant_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER one_at_a_time BEFORE INSERT OR UPDATE ON privacy.erased_keys
    FOR EACH STATEMENT EXECUTE FUNCTION privacy.one_at_a_time();
CREATE TRIGGER one_at_a_time BEFORE INSERT OR UPDATE ON credits.personal_data
    FOR EACH STATEMENT EXECUTE FUNCTION privacy.one_at_a_time();
-- INSERT … ON CONFLICT DO UPDATE fires both.
CREATE TRIGGER erased_inserted AFTER INSERT ON privacy.erased_keys
    REFERENCING NEW TABLE AS erased FOR EACH STATEMENT EXECUTE FUNCTION privacy.delete_erased();
CREATE TRIGGER erased_updated AFTER UPDATE ON privacy.erased_keys
    REFERENCING NEW TABLE AS erased FOR EACH STATEMENT EXECUTE FUNCTION privacy.delete_erased();
CREATE TRIGGER late_inserted AFTER INSERT ON credits.personal_data
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION privacy.delete_late();
CREATE TRIGGER late_updated AFTER UPDATE ON credits.personal_data
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION privacy.delete_late();
ALTER TABLE privacy.erased_keys ENABLE ALWAYS TRIGGER one_at_a_time;
ALTER TABLE credits.personal_data ENABLE ALWAYS TRIGGER one_at_a_time;
ALTER TABLE privacy.erased_keys ENABLE ALWAYS TRIGGER erased_inserted;
ALTER TABLE privacy.erased_keys ENABLE ALWAYS TRIGGER erased_updated;
ALTER TABLE credits.personal_data ENABLE ALWAYS TRIGGER late_inserted;
ALTER TABLE credits.personal_data ENABLE ALWAYS TRIGGER late_updated;

REVOKE ALL ON FUNCTION privacy.delete_erased(), privacy.delete_late() FROM PUBLIC;

-- migrate: rollback

DROP TABLE credits.personal_data;
DROP SCHEMA privacy CASCADE;
DELETE FROM shieldx.positions WHERE sink = 'privacy-erasures';
DELETE FROM shieldx.unreadable WHERE sink = 'privacy-erasures';
