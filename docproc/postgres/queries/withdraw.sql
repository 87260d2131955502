-- Hidden from readers at once; what they were shown is kept for a while, for the case that they come back.
WITH gone AS MATERIALIZED (
  SELECT source_id FROM docproc.sources
   WHERE user_id = %(user)s AND uri = ANY (%(uris)s::text[]) AND withdrawn_at IS NULL
     AND changed_at <= %(asked_at)s
   ORDER BY uri
     FOR NO KEY UPDATE
)
UPDATE docproc.sources s SET withdrawn_at = clock_timestamp() FROM gone WHERE s.source_id = gone.source_id
