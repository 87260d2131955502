-- loses: index_builds
DROP FUNCTION docproc.search_hybrid, docproc.search, docproc.matching, docproc.query_terms, docproc.nearest,
              docproc.through_index, docproc.nearest_statement, docproc.model_in_use;
DROP VIEW docproc.search_model;
DROP VIEW docproc.document_search;
CREATE VIEW docproc.document_search AS
SELECT s.source_id, s.uri AS source, s.user_id, j.document_id, j.job_id, c.chunk_id, c.chunk_ord, c.text, c.heading_path,
       c.page_first, c.page_last, c.char_start, c.char_end, c.tokens, v.embed_model, v.embed_version, v.vector
  FROM docproc.sources s
  JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id AND j.status = 'complete'
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id
   AND v.embed_model = j.embed_model AND v.embed_version = j.embed_version
 WHERE s.withdrawn_at IS NULL;
-- The indexes that were built on the vectors go too: without vector_index nothing would know them.
DO $$
DECLARE
  built text;
BEGIN
  FOR built IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = 'docproc.document_vector_buffer'::regclass
                  AND c.relname ~ '^document_vector_buffer_(hnsw|halfvec)_' LOOP
    EXECUTE format('DROP INDEX docproc.%I', built);
  END LOOP;
END
$$;
DROP FUNCTION docproc.make_way_for_index, docproc.drop_unfinished_index, docproc.vector_index;
DROP TABLE docproc.index_builds;
DROP STATISTICS docproc.document_chunk_buffer_version;
ALTER TABLE docproc.document_chunk_buffer DROP COLUMN words;
DROP FUNCTION docproc.plain_words, docproc.without_blanks;
