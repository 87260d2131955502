DELETE FROM docproc.document_vector_buffer v
 USING unnest(%(chunk_ids)s::uuid[], %(embed_shas)s::text[]) AS fresh (chunk_id, embed_sha)
 WHERE v.chunk_id = fresh.chunk_id AND v.embed_sha <> fresh.embed_sha
