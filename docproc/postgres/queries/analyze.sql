-- Not the vectors and texts themselves: to read those takes long, and no plan asks for them.
ANALYZE docproc.upload_jobs (job_id, document_id, user_id, status, chunks_version, embed_model, embed_version),
        docproc.sources (user_id, document_id, live_job_id),
        docproc.document_chunk_buffer (chunk_id, document_id, user_id, chunk_ord, chunker_name, chunker_version, embed_sha),
        docproc.document_vector_buffer (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha)
