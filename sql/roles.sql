-- Roles and their rights. Run as whoever may create roles and owns the database, once before the first docproc migrate
-- and again after each one: psql -1 -v ON_ERROR_STOP=1 -f roles.sql. It can be run as often as wanted. No role may log
-- in until you say so: see docs/security.md.
--
--   docproc_owner         owns the schema and migrates it
--   docproc_app           runs the pipeline: rows of the tables, and nothing that changes the schema
--   docproc_reader        searches the documents of all users
--   docproc_bound_reader  searches the documents of the one user that docproc_read.bound names for its login
--   docproc_definer       nobody's login: as it the functions for bound readers run

SET client_min_messages = warning;

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['docproc_owner', 'docproc_app', 'docproc_reader', 'docproc_bound_reader', 'docproc_definer']
  LOOP
    IF to_regrole(role) IS NULL THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
  END LOOP;
  EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO docproc_owner', current_database());
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO docproc_app', current_database());
  -- Who is no superuser gives things away only to roles that he is a member of.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND current_user <> 'docproc_owner' THEN
    EXECUTE format('GRANT docproc_owner, docproc_definer TO %I', current_user);
  END IF;
END
$$;

-- ── owner ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE SCHEMA IF NOT EXISTS docproc AUTHORIZATION docproc_owner;
ALTER SCHEMA docproc OWNER TO docproc_owner;

-- What another role made before there were these.
DO $$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('ALTER TABLE docproc.%I OWNER TO docproc_owner', relname) FROM pg_class
     WHERE relnamespace = 'docproc'::regnamespace AND relkind IN ('r', 'p', 'v') AND relowner <> 'docproc_owner'::regrole
    UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO docproc_owner', oid::regprocedure) FROM pg_proc
     WHERE pronamespace = 'docproc'::regnamespace AND proowner <> 'docproc_owner'::regrole
    UNION ALL
    SELECT format('ALTER STATISTICS docproc.%I OWNER TO docproc_owner', stxname) FROM pg_statistic_ext
     WHERE stxnamespace = 'docproc'::regnamespace AND stxowner <> 'docproc_owner'::regrole
  LOOP
    EXECUTE statement;
  END LOOP;
END
$$;

-- ── app and reader ──────────────────────────────────────────────────────────────────────────────────────────────────

REVOKE ALL ON SCHEMA docproc FROM PUBLIC, docproc_bound_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA docproc FROM PUBLIC, docproc_app, docproc_reader, docproc_bound_reader, docproc_definer;
GRANT USAGE ON SCHEMA docproc TO docproc_app, docproc_reader, docproc_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA docproc TO docproc_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA docproc TO docproc_app, docproc_reader, docproc_definer;

-- What the next migration makes, until this is run again.
ALTER DEFAULT PRIVILEGES FOR ROLE docproc_owner IN SCHEMA docproc
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO docproc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE docproc_owner IN SCHEMA docproc
  GRANT EXECUTE ON FUNCTIONS TO docproc_app, docproc_reader, docproc_definer;

DO $$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    -- The pipeline reads these and does not write them; history is added to, and at last deleted, but never rewritten.
    SELECT format('REVOKE %s ON docproc.%I FROM docproc_app', privileges, name)
      FROM (VALUES ('schema_migrations', 'INSERT, UPDATE, DELETE'), ('deployments', 'INSERT, UPDATE, DELETE'),
                   ('legal_moves', 'INSERT, UPDATE, DELETE'), ('job_events', 'UPDATE')) AS r (name, privileges)
     WHERE to_regclass('docproc.' || name) IS NOT NULL
    UNION ALL
    SELECT format('GRANT SELECT ON docproc.%I TO docproc_reader, docproc_definer', name)
      FROM (VALUES ('document_search'), ('search_model')) AS v (name)
     WHERE to_regclass('docproc.' || name) IS NOT NULL
  LOOP
    EXECUTE statement;
  END LOOP;
END
$$;

-- ── bound reader ────────────────────────────────────────────────────────────────────────────────────────────────────

-- In a schema of its own, which no migration touches. The functions are the wall: a bound reader has no right to anything
-- else, and they pass on the user of its login whatever it says. In PL/pgSQL, because search may not be there yet.
CREATE SCHEMA IF NOT EXISTS docproc_read AUTHORIZATION docproc_definer;
SET ROLE docproc_definer;

CREATE TABLE IF NOT EXISTS docproc_read.bound (
  role_name name PRIMARY KEY,
  user_id   text NOT NULL
);

CREATE OR REPLACE FUNCTION docproc_read.bound_user() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found text := (SELECT b.user_id FROM docproc_read.bound b WHERE b.role_name = session_user);
BEGIN
  IF found IS NULL THEN
    RAISE EXCEPTION 'no user is named for the login % in docproc_read.bound', session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION docproc_read.search_model(OUT embed_model text, OUT embed_version text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT m.embed_model, m.embed_version INTO search_model.embed_model, search_model.embed_version
    FROM docproc.search_model m WHERE m.user_id = docproc_read.bound_user();
END
$$;

CREATE OR REPLACE FUNCTION docproc_read.search(query vector, k integer DEFAULT 10, source_like text DEFAULT NULL,
                                               model text DEFAULT NULL, version text DEFAULT NULL)
RETURNS TABLE (source text, document_id uuid, chunk_id uuid, score double precision, page_first integer,
               page_last integer, heading_path text[], text text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT * FROM docproc.search(query, k, docproc_read.bound_user(), source_like, model, version);
END
$$;

CREATE OR REPLACE FUNCTION docproc_read.search_hybrid(query vector, words text, k integer DEFAULT 10,
                                                      source_like text DEFAULT NULL, model text DEFAULT NULL,
                                                      version text DEFAULT NULL)
RETURNS TABLE (source text, document_id uuid, chunk_id uuid, score double precision, page_first integer,
               page_last integer, heading_path text[], text text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT * FROM docproc.search_hybrid(query, words, k, docproc_read.bound_user(), source_like, model, version);
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA docproc_read FROM PUBLIC;
GRANT USAGE ON SCHEMA docproc_read TO docproc_bound_reader, docproc_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA docproc_read TO docproc_bound_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON docproc_read.bound TO docproc_owner;
RESET ROLE;
RESET client_min_messages;
