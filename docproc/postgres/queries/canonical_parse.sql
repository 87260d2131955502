-- The earliest document of the user whose parse is the same: its stored parse is the canonical one.
SELECT parsed_path FROM docproc.upload_jobs
 WHERE user_id = %(user)s AND parsed_sha = %(parsed_sha)s AND document_id <> %(document_id)s
 ORDER BY created_at, job_id LIMIT 1
