-- Locked, so that whoever is about to write one of them waits for what is decided.
SELECT v.chunk_id, v.embed_model, v.embed_version FROM docproc.document_vector_buffer v
 WHERE (%(document_ids)s::uuid[] IS NULL
        OR v.chunk_id IN (SELECT chunk_id FROM docproc.document_chunk_buffer WHERE document_id = ANY (%(document_ids)s)))
   AND (%(user)s::text IS NULL OR v.user_id = %(user)s)
   AND (v.chunk_id, v.embed_model, v.embed_version) > (%(after)s::uuid, %(after_model)s::text, %(after_version)s::text)
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = v.document_id
                      AND j.embed_model = v.embed_model AND j.embed_version = v.embed_version)
 ORDER BY v.chunk_id, v.embed_model, v.embed_version LIMIT %(limit)s
   FOR UPDATE OF v SKIP LOCKED
