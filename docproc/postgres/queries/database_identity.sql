-- Names the database by what no address changes: its cluster, which initdb has named, and its number there.
SELECT c.system_identifier::text AS system, d.oid::bigint AS oid, d.datname::text AS name
  FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
