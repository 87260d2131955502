-- Withdrawn sources of documents without any job.
DELETE FROM docproc.sources s
 WHERE s.document_id = ANY (%(document_ids)s::uuid[]) AND s.withdrawn_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = s.document_id)
