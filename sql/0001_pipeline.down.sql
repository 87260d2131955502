-- loses: api_calls, document_chunk_buffer, document_vector_buffer, installation, job_events, parse_calls, rate_limits, runs, serving, sources, upload_jobs
-- Takes the pipeline away with all that it holds. The schema and its ledger of migrations stay, and so does pgvector,
-- which others may use.
DROP VIEW docproc.document_search;
DROP TABLE docproc.document_vector_buffer, docproc.document_chunk_buffer, docproc.parse_calls, docproc.api_calls,
  docproc.rate_limits, docproc.runs, docproc.job_events, docproc.serving, docproc.sources, docproc.upload_jobs, docproc.installation;
