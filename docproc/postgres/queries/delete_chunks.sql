-- Asked once more: a job may have come in since. Vectors go with their chunks.
DELETE FROM docproc.document_chunk_buffer c
 WHERE c.chunk_id = ANY (%(chunk_ids)s::uuid[])
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = c.document_id
                      AND j.chunks_version = c.chunker_name || '@' || c.chunker_version)
RETURNING pg_column_size(c.*) AS bytes
