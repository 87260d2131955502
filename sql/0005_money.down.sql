-- loses: nothing
-- What the version before has no columns for is put aside, for the way forth: what was paid must not be forgotten.
DO $$
BEGIN
  IF EXISTS (SELECT FROM docproc.api_calls WHERE usd_counted IS NOT NULL) THEN
    CREATE TABLE docproc.money_put_aside AS
    SELECT 'call' AS kind, call_id::text AS key, to_jsonb(a) AS kept FROM docproc.api_calls a
    UNION ALL
    SELECT 'run', run_id::text, to_jsonb(r) FROM docproc.runs r WHERE budget_group IS NOT NULL
    UNION ALL
    SELECT 'removed', period, to_jsonb(removed) FROM docproc.spending WHERE removed <> 0;
  END IF;
END
$$;
DROP VIEW docproc.spend_by_model, docproc.spend_by_source, docproc.spend_by_document, docproc.spend_by_day,
          docproc.spend_parts, docproc.spend_by_call;
DROP TRIGGER api_calls_counted ON docproc.api_calls;
DROP FUNCTION docproc.count_spending, docproc.divided, docproc.spending_periods;
DROP TABLE docproc.spending;
-- The version before knows these ends by other names: by what went wrong.
UPDATE docproc.api_calls SET outcome = coalesce(code, outcome) WHERE outcome = 'uncertain' AND operation <> 'parse';
UPDATE docproc.api_calls SET outcome = 'accepted' WHERE outcome = 'uncertain' AND request_id IS NOT NULL;
UPDATE docproc.api_calls SET outcome = 'open' WHERE outcome = 'uncertain';
ALTER TABLE docproc.api_calls
  DROP COLUMN stage,
  DROP COLUMN attempt,
  DROP COLUMN model,
  DROP COLUMN document_ids,
  DROP COLUMN shares,
  DROP COLUMN usd_per_unit,
  DROP COLUMN usd_per_credit,
  DROP COLUMN usd_estimated,
  DROP COLUMN usd_reported,
  DROP COLUMN usd_counted,
  DROP COLUMN mock,
  DROP COLUMN code,
  DROP COLUMN budget_group;
ALTER TABLE docproc.runs DROP COLUMN budget_group;
