-- Documents that are shown with another model than the target's and have no job with it yet.
SELECT DISTINCT j.document_id, j.source AS uri, j.extension, j.raw_path, j.raw_sha, j.raw_bytes
  FROM docproc.sources s
  JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id
 WHERE s.user_id = %(user)s AND s.withdrawn_at IS NULL
   AND (j.embed_model, j.embed_version) IS DISTINCT FROM (%(embed_model)s, %(embed_version)s)
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs t
                    WHERE t.document_id = j.document_id AND t.chunks_version = %(chunks_version)s
                      AND t.embed_model = %(embed_model)s AND t.embed_version = %(embed_version)s)
