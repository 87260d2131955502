-- Those of documents without any job.
DELETE FROM docproc.parse_calls p
 WHERE p.parse_call_id IN (
         SELECT parse_call_id FROM docproc.parse_calls WHERE document_id = ANY (%(document_ids)s::uuid[]))
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = p.document_id)
RETURNING external_id
