-- Only where no job says that the database is in use; then the clocks of its rate limits are nobody's either.
WITH unused AS (
  SELECT NOT EXISTS (SELECT FROM docproc.upload_jobs) AS so
), clocks AS (
  DELETE FROM docproc.rate_limits WHERE (SELECT so FROM unused)
)
DELETE FROM docproc.installation WHERE (SELECT so FROM unused)
