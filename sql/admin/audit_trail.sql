create or replace function postroad.audit_trail(
  since     timestamptz default clock_timestamp() - interval '1 day',
  max_count integer default 1000
)
returns table (
  changed_at    timestamptz,
  who           text,
  database_user text,
  tenant_id     bigint,
  action        text,
  target        text,
  before        jsonb,
  after         jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select a.changed_at, a.who, a.database_user, a.tenant_id, a.action, a.target, a.before, a.after
  from postroad.audit_log as a
  where a.changed_at >= since
  order by a.audit_id desc
  limit max_count;
end;
$$;

comment on function postroad.audit_trail is
'Who changed what since a time (default: the last day), the latest first, at most max_count: pauses, retries, replays, suppressions, weights, limits, keys. It holds no address: see audit_target.';

revoke all on function postroad.audit_trail from public;
grant execute on function postroad.audit_trail to postroad_admin;
