SELECT DISTINCT document_id FROM docproc.upload_jobs
 WHERE document_id > %(after)s::uuid AND (%(user)s::text IS NULL OR user_id = %(user)s)
 ORDER BY document_id LIMIT %(limit)s
