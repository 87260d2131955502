-- Locked, so that whoever is about to write one of them waits for what is decided.
SELECT c.chunk_id FROM docproc.document_chunk_buffer c
 WHERE (%(document_ids)s::uuid[] IS NULL OR c.document_id = ANY (%(document_ids)s))
   AND (%(user)s::text IS NULL OR c.user_id = %(user)s) AND c.chunk_id > %(after)s::uuid
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = c.document_id
                      AND j.chunks_version = c.chunker_name || '@' || c.chunker_version)
 ORDER BY c.chunk_id LIMIT %(limit)s
   FOR UPDATE OF c SKIP LOCKED
