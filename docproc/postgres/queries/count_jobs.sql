-- Every job counts, for where there are too many to look at each: one scan of an index and nothing else. Trials, which
-- the index does not tell from others, are found by their sources and taken off. The range is one that no collation
-- takes a trial's name out of.
WITH trials AS MATERIALIZED (
  SELECT j.status
    FROM docproc.sources s JOIN docproc.upload_jobs j ON j.document_id = s.document_id
   WHERE s.user_id >= 'docproc' AND s.user_id < 'docprod' AND s.user_id LIKE 'docproc-trial-%'
), counted AS (
  SELECT j.status, count(*) - (SELECT count(*) FROM trials t WHERE t.status = j.status) AS n,
         min(j.state_since) AS since
    FROM docproc.upload_jobs j GROUP BY j.status
)
SELECT status, n AS jobs, n AS documents, extract(epoch FROM now() - since)::float8 AS oldest
  FROM counted
