CREATE SCHEMA IF NOT EXISTS docproc;
CREATE TABLE IF NOT EXISTS docproc.schema_migrations (
  version    integer PRIMARY KEY,
  name       text NOT NULL,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  applied_by text NOT NULL DEFAULT current_user
)
