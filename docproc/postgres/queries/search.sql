SELECT source, document_id, chunk_id, 1 - (vector <=> %(query)s) AS score, page_first, page_last, heading_path, text
  FROM docproc.document_search
 WHERE user_id = %(user)s AND embed_model = %(model)s AND embed_version = %(version)s
   AND (%(source)s::text IS NULL OR source LIKE %(source)s)
 ORDER BY vector <=> %(query)s, chunk_id
 LIMIT %(limit)s
