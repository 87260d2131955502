-- Money: what each paid call costs and for which documents, counters that budgets are held against, views of what was spent.

ALTER TABLE docproc.runs ADD COLUMN budget_group uuid;

-- A job's part of a call's units stands in shares, in the order of job_ids. usd_counted is what the call counts for now:
-- what was reserved before it, then what it cost. Prices are kept as they were. Calls from before have none of these.
ALTER TABLE docproc.api_calls
  ADD COLUMN stage text,
  ADD COLUMN attempt integer,
  ADD COLUMN model text,
  ADD COLUMN document_ids uuid[],
  ADD COLUMN shares bigint[],
  ADD COLUMN usd_per_unit numeric,
  ADD COLUMN usd_per_credit numeric,
  ADD COLUMN usd_estimated numeric,
  ADD COLUMN usd_reported numeric,
  ADD COLUMN usd_counted numeric,
  ADD COLUMN mock boolean,
  ADD COLUMN code text,
  ADD COLUMN budget_group uuid;

-- What was spent in a day, a month (UTC) or a group of runs; removed is the part whose calls are no longer in the ledger.
CREATE TABLE docproc.spending (
  period  text PRIMARY KEY,
  usd     numeric NOT NULL DEFAULT 0,
  removed numeric NOT NULL DEFAULT 0
);

-- Always in this order, so that two that count at the same time never wait for each other.
CREATE FUNCTION docproc.spending_periods(at timestamptz, budget_group uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT array_remove(ARRAY['day ' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
                            'month ' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM'), 'run ' || budget_group], NULL)
$$;

-- As its owner, so that the counters are written through the ledger and no other way.
CREATE FUNCTION docproc.count_spending() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  call docproc.api_calls;
  more numeric := 0;
  gone numeric := 0;
  name text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    call := OLD;
    gone := coalesce(OLD.usd_counted, 0);
  ELSE
    call := NEW;
    more := coalesce(NEW.usd_counted, 0);
    IF TG_OP = 'UPDATE' THEN
      more := more - coalesce(OLD.usd_counted, 0);
    END IF;
  END IF;
  IF more <> 0 OR gone <> 0 THEN
    FOREACH name IN ARRAY docproc.spending_periods(call.started_at, call.budget_group) LOOP
      INSERT INTO docproc.spending AS s (period, usd, removed) VALUES (name, more, gone)
      ON CONFLICT (period) DO UPDATE SET usd = s.usd + excluded.usd, removed = s.removed + excluded.removed;
    END LOOP;
    -- A trial leaves no trace but in the sums of the day and the month.
    DELETE FROM docproc.spending s
     WHERE TG_OP = 'DELETE' AND s.period = 'run ' || call.budget_group AND s.usd = s.removed
       AND NOT EXISTS (SELECT FROM docproc.runs r WHERE r.budget_group = call.budget_group);
  END IF;
  RETURN NULL;
END
$$;

-- What a way back has put aside.
DO $$
BEGIN
  IF to_regclass('docproc.money_put_aside') IS NOT NULL THEN
    UPDATE docproc.api_calls a
       SET outcome = k.outcome, stage = k.stage, attempt = k.attempt, model = k.model, document_ids = k.document_ids,
           shares = k.shares, usd_per_unit = k.usd_per_unit, usd_per_credit = k.usd_per_credit,
           usd_estimated = k.usd_estimated, usd_reported = k.usd_reported, usd_counted = k.usd_counted, mock = k.mock,
           code = k.code, budget_group = k.budget_group
      FROM docproc.money_put_aside p, jsonb_populate_record(NULL::docproc.api_calls, p.kept) k
     WHERE p.kind = 'call' AND a.call_id = p.key::uuid;
    UPDATE docproc.runs r SET budget_group = (p.kept ->> 'budget_group')::uuid
      FROM docproc.money_put_aside p WHERE p.kind = 'run' AND r.run_id = p.key::uuid;
    INSERT INTO docproc.spending (period, usd, removed)
    SELECT period, sum(usd), sum(removed)
      FROM (SELECT p.key AS period, (p.kept #>> '{}')::numeric AS usd, (p.kept #>> '{}')::numeric AS removed
              FROM docproc.money_put_aside p WHERE p.kind = 'removed'
             UNION ALL
            SELECT name, a.usd_counted, 0 FROM docproc.api_calls a,
                   unnest(docproc.spending_periods(a.started_at, a.budget_group)) AS name
             WHERE a.usd_counted <> 0) parts
     GROUP BY period;
    DROP TABLE docproc.money_put_aside;
  END IF;
END
$$;

-- Deferred: these rows are everybody's, and are held only while the server commits, not while a client thinks.
CREATE CONSTRAINT TRIGGER api_calls_counted AFTER INSERT OR UPDATE OR DELETE ON docproc.api_calls
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION docproc.count_spending();

-- Divides a total like parts that were estimated, in whole units whose sum is the total: what is left over after rounding
-- down goes to the largest remainders.
CREATE FUNCTION docproc.divided(total bigint, parts bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
  WITH part AS (
    SELECT n, floor(total * share / whole)::bigint AS units, total * share / whole % 1 AS rest
      FROM (SELECT n, share::numeric, sum(share) OVER () AS whole FROM unnest(parts) WITH ORDINALITY AS p (share, n)) p
     WHERE whole > 0), ranked AS (
    SELECT n, units, total - sum(units) OVER () AS left_over, row_number() OVER (ORDER BY rest DESC, n) AS place FROM part)
  SELECT coalesce(array_agg(units + (place <= left_over)::integer ORDER BY n), parts) FROM ranked
$$;

-- The ledger as people read it. A call without an end whose process is gone has an uncertain one: perhaps it is paid for.
CREATE VIEW docproc.spend_by_call AS
SELECT a.call_id, a.started_at, a.finished_at, (a.started_at AT TIME ZONE 'UTC')::date AS day, a.run_id, a.provider,
       a.operation, a.stage, a.attempt, a.model, a.mock, a.job_ids, a.document_ids, a.shares, a.unit, a.units_estimated,
       a.units_reported, a.usd_estimated, a.usd_reported, a.usd_counted AS usd,
       CASE WHEN a.outcome IN ('open', 'uncertain') THEN a.usd_counted ELSE 0 END AS perhaps_paid,
       a.usd_reported - a.usd_estimated AS difference,
       CASE WHEN a.outcome = 'open' AND (r.run_id IS NULL OR r.finished_at IS NOT NULL) THEN 'uncertain' ELSE a.outcome
       END AS outcome,
       a.code, a.request_id
  FROM docproc.api_calls a LEFT JOIN docproc.runs r ON r.run_id = a.run_id;

-- One row for each call and document; a call that no document caused has one row without.
CREATE VIEW docproc.spend_parts AS
SELECT c.call_id, c.started_at, c.day, c.provider, c.model, c.unit, p.job_id, p.document_id, j.source, p.units, p.part,
       c.usd_estimated * p.part AS usd_estimated, c.usd_reported * p.part AS usd_reported, c.usd * p.part AS usd,
       c.perhaps_paid * p.part AS perhaps_paid, c.difference * p.part AS difference
  FROM (SELECT s.*, CASE WHEN s.outcome IN ('open', 'accepted', 'ok', 'uncertain') OR s.units_reported IS NOT NULL
                         THEN coalesce(s.units_reported, s.units_estimated) ELSE 0 END AS units
          FROM docproc.spend_by_call s) c
 CROSS JOIN LATERAL (
    SELECT NULL::uuid AS job_id, NULL::uuid AS document_id, c.units, 1::numeric AS part
     WHERE coalesce(cardinality(c.shares), 0) = 0
    UNION ALL
    SELECT t.job_id, t.document_id, CASE WHEN cardinality(c.shares) = 1 OR c.units = 0 THEN c.units ELSE t.share END,
           CASE WHEN sum(t.share) OVER () > 0 THEN t.share / sum(t.share) OVER () ELSE 1.0 / cardinality(c.shares) END
      FROM unnest(c.job_ids, c.document_ids, c.shares) AS t (job_id, document_id, share)
     WHERE cardinality(c.shares) > 0) p
  LEFT JOIN LATERAL (SELECT u.source FROM docproc.upload_jobs u WHERE u.document_id = p.document_id
                      ORDER BY u.created_at, u.job_id LIMIT 1) j ON true;

CREATE VIEW docproc.spend_by_day AS
SELECT day, provider, unit, count(DISTINCT call_id) AS calls, sum(units) AS units,
       round(sum(usd_estimated), 12) AS usd_estimated, round(sum(usd_reported), 12) AS usd_reported,
       round(sum(usd), 12) AS usd, round(sum(perhaps_paid), 12) AS perhaps_paid, round(sum(difference), 12) AS difference
  FROM docproc.spend_parts GROUP BY day, provider, unit;

CREATE VIEW docproc.spend_by_document AS
SELECT document_id, provider, unit, count(DISTINCT call_id) AS calls, sum(units) AS units,
       round(sum(usd_estimated), 12) AS usd_estimated, round(sum(usd_reported), 12) AS usd_reported,
       round(sum(usd), 12) AS usd, round(sum(perhaps_paid), 12) AS perhaps_paid, round(sum(difference), 12) AS difference
  FROM docproc.spend_parts GROUP BY document_id, provider, unit;

-- A document that came from several places counts for the one that it came from first.
CREATE VIEW docproc.spend_by_source AS
SELECT source, provider, unit, count(DISTINCT call_id) AS calls, sum(units) AS units,
       round(sum(usd_estimated), 12) AS usd_estimated, round(sum(usd_reported), 12) AS usd_reported,
       round(sum(usd), 12) AS usd, round(sum(perhaps_paid), 12) AS perhaps_paid, round(sum(difference), 12) AS difference
  FROM docproc.spend_parts GROUP BY source, provider, unit;

CREATE VIEW docproc.spend_by_model AS
SELECT provider, model, unit, count(DISTINCT call_id) AS calls, sum(units) AS units,
       round(sum(usd_estimated), 12) AS usd_estimated, round(sum(usd_reported), 12) AS usd_reported,
       round(sum(usd), 12) AS usd, round(sum(perhaps_paid), 12) AS perhaps_paid, round(sum(difference), 12) AS difference
  FROM docproc.spend_parts GROUP BY provider, model, unit;
