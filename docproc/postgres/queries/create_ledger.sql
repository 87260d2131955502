CREATE SCHEMA IF NOT EXISTS docproc;
CREATE TABLE IF NOT EXISTS docproc.schema_migrations (
  version    integer PRIMARY KEY,
  name       text NOT NULL,
  checksum   text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  applied_by text NOT NULL DEFAULT current_user
);
CREATE TABLE IF NOT EXISTS docproc.deployments (
  deployment_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  version       text NOT NULL,
  schema_from   integer NOT NULL,
  schema_to     integer NOT NULL,
  profile       text NOT NULL,
  started_at    timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz,
  outcome       text NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'done', 'rolled back', 'failed')),
  stopped_at    text,
  configuration text,
  applied_by    text NOT NULL DEFAULT current_user
)
