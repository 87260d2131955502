-- The database itself refuses a change of state that the table of transitions does not have, and a fence that goes back.
-- A settle may take several steps of one command at once, so the pairs are those that the steps of one command lead to.

CREATE TABLE docproc.legal_moves (
  source text NOT NULL,
  target text NOT NULL,
  PRIMARY KEY (source, target)
);

INSERT INTO docproc.legal_moves (source, target) VALUES
  ('uploaded', 'parse_queued'), ('uploaded', 'parsed'), ('uploaded', 'failed_parse'),
  ('parse_queued', 'parsed'), ('parse_queued', 'failed_parse'),
  ('parsed', 'parse_validated'), ('parsed', 'failed_parse'),
  ('parse_validated', 'chunks_stored'), ('parse_validated', 'failed_chunking'),
  ('chunks_stored', 'embedding_queued'), ('chunks_stored', 'embedding_in_progress'),
  ('chunks_stored', 'embeddings_stored'), ('chunks_stored', 'complete'), ('chunks_stored', 'failed_embedding'),
  ('embedding_queued', 'embedding_in_progress'), ('embedding_queued', 'embeddings_stored'),
  ('embedding_queued', 'complete'), ('embedding_queued', 'failed_embedding'),
  ('embedding_in_progress', 'embeddings_stored'), ('embedding_in_progress', 'complete'),
  ('embedding_in_progress', 'failed_embedding'),
  ('embeddings_stored', 'complete'), ('embeddings_stored', 'failed_embedding'),
  ('failed_parse', 'uploaded'), ('failed_parse', 'parse_queued'), ('failed_parse', 'parsed'),
  ('failed_chunking', 'parse_validated'),
  ('failed_embedding', 'chunks_stored'), ('failed_embedding', 'embedding_queued'),
  ('failed_embedding', 'embedding_in_progress'), ('failed_embedding', 'embeddings_stored');

CREATE FUNCTION docproc.refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.fence < OLD.fence THEN
    RAISE EXCEPTION 'the fence of job % would go back from % to %', OLD.job_id, OLD.fence, NEW.fence
      USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.status <> OLD.status
     AND NOT EXISTS (SELECT FROM docproc.legal_moves WHERE source = OLD.status AND target = NEW.status) THEN
    RAISE EXCEPTION 'job % may not move from % to %', OLD.job_id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER upload_jobs_legal_moves BEFORE UPDATE ON docproc.upload_jobs
  FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.fence < OLD.fence)
  EXECUTE FUNCTION docproc.refuse_illegal_move();
