create or replace function postroad.suppression_of(
  channel   text,
  recipient text,
  tenant_id bigint
)
returns setof postroad.suppression_list
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
rows 1
as $$
begin
  return query
  select s.*
  from postroad.suppression_list as s
  where s.address = postroad.suppression_key(suppression_of.channel, suppression_of.recipient)
    and (s.channel is null or s.channel = suppression_of.channel)
    and (s.tenant_id is null or s.tenant_id = suppression_of.tenant_id)
    and (s.expires_at is null or s.expires_at > clock_timestamp())
  order by s.created_at
  limit 1;
end;
$$;

comment on function postroad.suppression_of is
'What suppresses a normalised recipient now: also an entry for all tenants, which explain shows to a tenant whose message it stops.';
