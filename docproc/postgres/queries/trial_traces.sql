-- How many rows there are still of one user and of these documents, by table.
SELECT 'upload_jobs' AS name, count(*) AS rows FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'sources', count(*) FROM docproc.sources WHERE user_id = %(user)s
UNION ALL SELECT 'parse_calls', count(*) FROM docproc.parse_calls WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'document_chunk_buffer', count(*) FROM docproc.document_chunk_buffer
           WHERE document_id = ANY (%(document_ids)s)
UNION ALL SELECT 'serving', count(*) FROM docproc.serving WHERE user_id = %(user)s
UNION ALL SELECT 'runs', count(*) FROM docproc.runs WHERE command = %(command)s
