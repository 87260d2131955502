-- Through indexes alone: by the source's path, and by the document's id, between the first and the last that begin so.
SELECT job_id, document_id, user_id, source, status, attempt, progress, last_error, raw_bytes, parsed_path, claimed_by,
       chunks_version, embed_model, embed_version, created_at, state_since, run_at, now() AS asked_at
  FROM docproc.upload_jobs
 WHERE user_id = %(user)s
   AND document_id IN (
     SELECT document_id FROM docproc.sources WHERE user_id = %(user)s AND uri = %(path)s
     UNION ALL
     SELECT was.document_id FROM docproc.sources s JOIN docproc.upload_jobs was ON was.job_id = s.live_job_id
      WHERE s.user_id = %(user)s AND s.uri = %(path)s
     UNION ALL
     SELECT document_id FROM docproc.upload_jobs WHERE document_id BETWEEN %(first)s::uuid AND %(last)s::uuid)
 ORDER BY created_at
