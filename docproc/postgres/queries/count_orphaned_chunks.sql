SELECT count(*) AS orphans, coalesce(sum(pg_column_size(c.*)), 0) AS bytes FROM docproc.document_chunk_buffer c
 WHERE (%(user)s::text IS NULL OR c.user_id = %(user)s)
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = c.document_id
                      AND j.chunks_version = c.chunker_name || '@' || c.chunker_version)
