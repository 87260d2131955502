-- How many rows there are of these documents, and of one source, by table.
SELECT 'sources' AS name, count(*) AS rows FROM docproc.sources
 WHERE user_id = %(user)s AND (document_id = ANY (%(document_ids)s::uuid[]) OR uri = %(uri)s)
UNION ALL SELECT 'upload_jobs', count(*) FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'job_events', count(*) FROM docproc.job_events e JOIN docproc.upload_jobs j ON j.job_id = e.job_id
           WHERE j.document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'parse_calls', count(*) FROM docproc.parse_calls WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'document_chunk_buffer', count(*) FROM docproc.document_chunk_buffer
           WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'document_vector_buffer', count(*) FROM docproc.document_vector_buffer v
           WHERE v.chunk_id IN (SELECT chunk_id FROM docproc.document_chunk_buffer
                                 WHERE document_id = ANY (%(document_ids)s))
