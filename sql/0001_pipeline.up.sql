-- The pipeline: sources, jobs and their history, chunks, vectors, the ledger of paid calls, and the view that readers use.

CREATE SCHEMA IF NOT EXISTS docproc;
-- In public by name: for a role that is called docproc, "$user" comes first, and its type would be hidden from all others.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- One row: what this database is used with. Mock and real vectors are never mixed.
CREATE TABLE docproc.installation (
  only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  parser_kind   text NOT NULL CHECK (parser_kind IN ('mock', 'real')),
  embedder_kind text NOT NULL CHECK (embedder_kind IN ('mock', 'real')),
  recorded_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE docproc.upload_jobs (
  job_id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  document_id    uuid NOT NULL,
  user_id        text NOT NULL,
  status         text NOT NULL CHECK (status IN (
                   'uploaded', 'parse_queued', 'parsed', 'parse_validated', 'chunks_stored', 'embedding_queued',
                   'embedding_in_progress', 'embeddings_stored', 'complete',
                   'failed_parse', 'failed_chunking', 'failed_embedding')),
  -- Generated, so that no query has to name the final states to use the claim's index.
  is_final       boolean NOT NULL GENERATED ALWAYS AS
                   (status IN ('complete', 'failed_parse', 'failed_chunking', 'failed_embedding')) STORED,
  failed_from    text,
  source         text NOT NULL,
  extension      text NOT NULL,
  raw_path       text NOT NULL,
  raw_sha        text NOT NULL,
  raw_bytes      bigint NOT NULL,
  parsed_path    text,
  parsed_sha     text,
  chunks_version text NOT NULL,
  embed_model    text NOT NULL,
  embed_version  text NOT NULL,
  progress       jsonb NOT NULL DEFAULT '{}',
  priority       integer NOT NULL DEFAULT 0,
  run_at         timestamptz NOT NULL DEFAULT now(),
  attempt        integer NOT NULL DEFAULT 0,
  fence          bigint NOT NULL DEFAULT 0,
  claimed_by     text,
  lease_until    timestamptz,
  last_error     jsonb,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  state_since    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (document_id, chunks_version, embed_model, embed_version),
  CHECK ((claimed_by IS NULL) = (lease_until IS NULL)),
  CHECK ((status LIKE 'failed%') = (failed_from IS NOT NULL)),
  CHECK (status NOT LIKE 'failed%' OR coalesce(last_error ? 'code', false))
);
-- The claim's ORDER BY is this index; a stage-led index was 30 times slower at a million rows.
CREATE INDEX upload_jobs_due ON docproc.upload_jobs (priority DESC, run_at, job_id) INCLUDE (status)
  WHERE claimed_by IS NULL AND NOT is_final;
CREATE INDEX upload_jobs_claimed ON docproc.upload_jobs (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX upload_jobs_by_status ON docproc.upload_jobs (status, state_since);
CREATE INDEX upload_jobs_by_parse ON docproc.upload_jobs (user_id, parsed_sha) WHERE parsed_sha IS NOT NULL;

-- Where a document came from, apart from its bytes: a changed file is another document of the same source.
CREATE TABLE docproc.sources (
  source_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id       text NOT NULL,
  uri           text NOT NULL,
  document_id   uuid NOT NULL,
  live_job_id   uuid REFERENCES docproc.upload_jobs ON DELETE SET NULL,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  changed_at    timestamptz NOT NULL DEFAULT now(),
  withdrawn_at  timestamptz,
  UNIQUE (user_id, uri)
);
CREATE INDEX sources_by_document ON docproc.sources (document_id);
CREATE INDEX sources_by_live_job ON docproc.sources (live_job_id);

CREATE TABLE docproc.job_events (
  event_id    bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  job_id      uuid NOT NULL REFERENCES docproc.upload_jobs ON DELETE CASCADE,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  from_status text,
  to_status   text NOT NULL,
  seconds     double precision NOT NULL DEFAULT 0,
  worker      text,
  attempt     integer NOT NULL DEFAULT 0,
  fence       bigint NOT NULL DEFAULT 0,
  code        text,
  note        text
);
CREATE INDEX job_events_by_job ON docproc.job_events (job_id, event_id);
CREATE INDEX job_events_recent ON docproc.job_events (at);

CREATE TABLE docproc.runs (
  run_id      uuid PRIMARY KEY,
  command     text NOT NULL,
  profile     text NOT NULL,
  worker      text NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  exit_code   integer,
  summary     jsonb NOT NULL DEFAULT '{}'
);

-- The ledger: a row for every paid call, written before it and closed after it.
CREATE TABLE docproc.api_calls (
  call_id         uuid PRIMARY KEY,
  run_id          uuid REFERENCES docproc.runs ON DELETE SET NULL,
  provider        text NOT NULL,
  operation       text NOT NULL,
  job_ids         uuid[] NOT NULL,
  unit            text NOT NULL,
  units_estimated bigint,
  units_reported  bigint,
  inputs          integer NOT NULL DEFAULT 1,
  outcome         text NOT NULL DEFAULT 'open',
  request_id      text,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz
);
CREATE INDEX api_calls_recent ON docproc.api_calls (started_at);

-- The intent to have a document parsed, written before the service is called: the guard against paying twice.
CREATE TABLE docproc.parse_calls (
  parse_call_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  document_id   uuid NOT NULL,
  parser        text NOT NULL,
  client_ref    text NOT NULL UNIQUE,
  state         text NOT NULL DEFAULT 'intent'
                  CHECK (state IN ('intent', 'submitting', 'submitted', 'collected', 'failed')),
  external_id   text,
  submits       integer NOT NULL DEFAULT 0,
  submit_slot   timestamptz,
  submitting_at timestamptz,
  submitted_at  timestamptz,
  call_id       uuid REFERENCES docproc.api_calls ON DELETE SET NULL,
  pages         integer,
  credits       numeric,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (document_id, parser),
  CHECK (state <> 'submitted' OR external_id IS NOT NULL)
);

-- One row a limit, shared by all processes and hosts: when the next call may be sent (generic cell rate algorithm).
CREATE TABLE docproc.rate_limits (
  name    text PRIMARY KEY,
  free_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE docproc.document_chunk_buffer (
  chunk_id        uuid PRIMARY KEY,
  document_id     uuid NOT NULL,
  user_id         text NOT NULL,
  chunk_ord       integer NOT NULL CHECK (chunk_ord >= 0),
  chunker_name    text NOT NULL,
  chunker_version text NOT NULL,
  chunk_sha       text NOT NULL,
  embed_sha       text NOT NULL,
  text            text NOT NULL,
  embed_prefix    text NOT NULL,
  heading_path    text[] NOT NULL,
  page_first      integer NOT NULL,
  page_last       integer NOT NULL,
  char_start      integer NOT NULL,
  char_end        integer NOT NULL,
  tokens          integer NOT NULL CHECK (tokens > 0),
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (document_id, chunker_name, chunker_version, chunk_ord)
);

CREATE TABLE docproc.document_vector_buffer (
  chunk_id      uuid NOT NULL REFERENCES docproc.document_chunk_buffer ON DELETE CASCADE,
  document_id   uuid NOT NULL,
  user_id       text NOT NULL,
  embed_model   text NOT NULL,
  embed_version text NOT NULL,
  embed_sha     text NOT NULL,
  vector        vector NOT NULL,
  vector_sha    text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chunk_id, embed_model, embed_version)
);
-- A vector that is owned already is found here before it is bought.
CREATE INDEX document_vector_buffer_owned
  ON docproc.document_vector_buffer (user_id, embed_sha, embed_model, embed_version);

-- With which model a user's documents are searched. Readers never see two: a new model is shown when all have it.
CREATE TABLE docproc.serving (
  user_id       text PRIMARY KEY,
  embed_model   text NOT NULL,
  embed_version text NOT NULL,
  since         timestamptz NOT NULL DEFAULT now()
);

-- The contract with readers: exactly one complete version of every live source.
CREATE VIEW docproc.document_search AS
SELECT s.source_id, s.uri AS source, s.user_id, j.document_id, j.job_id, c.chunk_id, c.chunk_ord, c.text, c.heading_path,
       c.page_first, c.page_last, c.char_start, c.char_end, c.tokens, v.embed_model, v.embed_version, v.vector
  FROM docproc.sources s
  JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id AND j.status = 'complete'
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id
   AND v.embed_model = j.embed_model AND v.embed_version = j.embed_version
 WHERE s.withdrawn_at IS NULL;
