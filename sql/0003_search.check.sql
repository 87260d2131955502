-- A word of plain letters between blanks is always found, unless it stands in a tag.
SELECT count(*) || ' chunks have a text and no words to find it by, such as ' || min(c.chunk_id::text) AS problem
  FROM docproc.document_chunk_buffer c
 WHERE c.words = ''::tsvector AND strpos(c.text, '<') = 0 AND c.text ~ '(^|\s)[A-Za-z]{2,40}(\s|$)'
HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' vectors have other dimensions than their version names, such as that of ' || min(v.chunk_id::text)
  FROM docproc.document_vector_buffer v
 WHERE vector_dims(v.vector)::text IS DISTINCT FROM substring(v.embed_version FROM '^d(\d+)-')
HAVING count(*) > 0
