-- What the service says a parse cost is known only when its result is fetched; pages are priced where it says nothing.
WITH it AS (
  UPDATE docproc.parse_calls
     SET state = 'collected', pages = %(pages)s, credits = %(credits)s, updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s
  RETURNING call_id
)
UPDATE docproc.api_calls a
   SET outcome = 'ok', units_reported = %(pages)s::bigint, shares = ARRAY[%(pages)s::bigint],
       usd_reported = coalesce(%(credits)s::numeric * usd_per_credit, %(pages)s::bigint * usd_per_unit),
       usd_counted = coalesce(%(credits)s::numeric * usd_per_credit, %(pages)s::bigint * usd_per_unit, usd_counted)
  FROM it WHERE a.call_id = it.call_id
