-- What cleanup needs to know of a job: since when nothing shows it or will, and that its stored bytes are gone.
-- Neither column is one that a claim or a heartbeat writes: these stay updates within a page.
ALTER TABLE docproc.upload_jobs
  ADD COLUMN superseded_at timestamptz,
  ADD COLUMN raw_lost_at timestamptz;
