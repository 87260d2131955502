WITH made AS (
  INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha, raw_bytes,
                                   chunks_version, embed_model, embed_version)
  VALUES (%(document_id)s, %(user)s, %(initial)s, %(uri)s, %(extension)s, %(raw_path)s, %(raw_sha)s, %(raw_bytes)s,
          %(chunks_version)s, %(embed_model)s, %(embed_version)s)
  ON CONFLICT (document_id, chunks_version, embed_model, embed_version) DO NOTHING
  RETURNING job_id
), told AS (
  INSERT INTO docproc.job_events (job_id, to_status, worker) SELECT job_id, %(initial)s, %(owner)s FROM made
)
SELECT job_id FROM made
