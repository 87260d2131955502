SELECT embed_sha, tokens FROM docproc.document_chunk_buffer
 WHERE document_id = %(document_id)s AND chunker_name || '@' || chunker_version = %(chunks_version)s
 ORDER BY chunk_ord
