INSERT INTO docproc.document_chunk_buffer AS b (
  chunk_id, document_id, user_id, chunk_ord, chunker_name, chunker_version, chunk_sha, embed_sha, text, embed_prefix,
  heading_path, page_first, page_last, char_start, char_end, tokens)
SELECT c.chunk_id, %(document_id)s, %(user)s, c.chunk_ord, %(chunker_name)s, %(chunker_version)s, c.chunk_sha,
       c.embed_sha, c.text, c.embed_prefix, ARRAY(SELECT jsonb_array_elements_text(c.heading_path)), c.page_first,
       c.page_last, c.char_start, c.char_end, c.tokens
  FROM unnest(%(chunk_ids)s::uuid[], %(ords)s::integer[], %(chunk_shas)s::text[], %(embed_shas)s::text[],
              %(texts)s::text[], %(embed_prefixes)s::text[], %(heading_paths)s::jsonb[], %(pages_first)s::integer[],
              %(pages_last)s::integer[], %(chars_start)s::integer[], %(chars_end)s::integer[], %(tokens)s::integer[])
    AS c (chunk_id, chunk_ord, chunk_sha, embed_sha, text, embed_prefix, heading_path, page_first, page_last,
          char_start, char_end, tokens)
ON CONFLICT (chunk_id) DO UPDATE
   SET chunk_sha = excluded.chunk_sha, embed_sha = excluded.embed_sha, text = excluded.text,
       embed_prefix = excluded.embed_prefix, heading_path = excluded.heading_path, page_first = excluded.page_first,
       page_last = excluded.page_last, char_start = excluded.char_start, char_end = excluded.char_end,
       tokens = excluded.tokens
 WHERE (b.embed_sha, b.chunk_sha, b.char_start, b.char_end, b.page_first, b.page_last)
   IS DISTINCT FROM (excluded.embed_sha, excluded.chunk_sha, excluded.char_start, excluded.char_end,
                     excluded.page_first, excluded.page_last)
