-- What somebody else has locked is in use, or about to be: it is left for another time.
SELECT job_id FROM docproc.upload_jobs
 WHERE document_id = ANY (%(document_ids)s::uuid[]) AND is_final AND claimed_by IS NULL
   AND superseded_at <= clock_timestamp() - make_interval(secs => %(grace)s)
 ORDER BY job_id
   FOR UPDATE SKIP LOCKED
