SELECT count(*) AS orphans FROM docproc.document_chunk_buffer c
 WHERE NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = c.document_id
                      AND j.chunks_version = c.chunker_name || '@' || c.chunker_version)
