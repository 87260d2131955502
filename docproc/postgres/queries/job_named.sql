-- By an older path, or by the name of the file: every job is looked at.
SELECT job_id, document_id, user_id, source, status, attempt, progress, last_error, raw_bytes, parsed_path, claimed_by,
       chunks_version, embed_model, embed_version, created_at, state_since, run_at, now() AS asked_at
  FROM docproc.upload_jobs
 WHERE user_id = %(user)s
   AND (source = %(path)s OR right(source, length(%(name)s) + 1) = '/' || %(name)s
    OR document_id IN (SELECT document_id FROM docproc.sources
                        WHERE user_id = %(user)s AND right(uri, length(%(name)s) + 1) = '/' || %(name)s))
 ORDER BY created_at
