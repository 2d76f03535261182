create or replace function postroad.enqueue_bulk(
  channel         text,
  recipients      jsonb,
  subject         text default null,
  body            text default null,
  html            text default null,
  template        text default null,
  data            jsonb default null,
  locale          text default null,
  message_type    text default 'campaign',
  priority        text default null,
  scheduled_for   timestamptz default null,
  expires_at      timestamptz default null,
  idempotency_key text default null,
  source_type     text default null,
  source_id       bigint default null,
  tenant_id       bigint default null,
  ip_pool         text default null,
  gateway         text default null,
  options         jsonb default null,
  out batch_id    uuid,
  out queued      integer,
  out suppressed  integer,
  out invalid     integer,
  out duplicate   integer,
  out reason      text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
declare
  p smallint;
  total integer;
  verdict text;
  rejected integer;
begin
  if jsonb_typeof(recipients) is distinct from 'array' then
    raise exception 'recipients must be a JSON array, got %', coalesce(jsonb_typeof(recipients), 'null')
      using errcode = 'PR001', hint = 'Such as [{"address": "ada@example.org", "id": 1, "data": {"name": "Ada"}}].';
  end if;
  total := jsonb_array_length(recipients);
  queued := 0;
  suppressed := 0;
  invalid := 0;
  duplicate := 0;
  select b.batch_id, b.priority_number, b.verdict, b.reason into batch_id, p, verdict, reason
  from postroad.begin_bulk(channel, subject, body, html, template, data, message_type, priority, scheduled_for, expires_at,
    idempotency_key, tenant_id, options,
    case when idempotency_key is not null then jsonb_build_array(
      sha256(convert_to(recipients::text, 'UTF8')), locale, source_type, source_id, ip_pool, gateway) end) as b;
  if verdict = 'duplicate' then
    duplicate := total;
    return;
  elsif verdict = 'invalid' then
    invalid := total;
    return;
  elsif total = 0 then
    return;
  end if;

  select r.queued, r.suppressed, r.invalid, r.duplicate into queued, suppressed, invalid, duplicate
  from (
    select array_agg(case when f.has_good_id then f.address end) as addresses,
      array_agg(case when f.has_good_id then f.id::bigint end) as ids,
      array_agg(f.type) as types, array_agg(f.locale) as locales, array_agg(f.data) as data
    from (
      select case jsonb_typeof(e.item) when 'string' then e.item #>> '{}' else e.item ->> 'address' end as address,
        e.item ->> 'type' as type, e.item ->> 'locale' as locale, nullif(e.item -> 'data', 'null') as data, i.id,
        postroad.is_bigint(i.id) as has_good_id
      from (select jsonb_array_elements(recipients) as item offset 0) as e,
        lateral (select e.item ->> 'id' offset 0) as i (id)
    ) as f
  ) as a,
  lateral postroad.enqueue_rows(batch_id, channel, a.addresses, a.ids, a.types, a.locales, a.data, message_type, p, scheduled_for,
    expires_at, source_type, source_id, tenant_id, ip_pool, gateway, locale) as r;
end;
$$;

comment on function postroad.enqueue_bulk is
$$Enqueues one content for many recipients in the caller's transaction, set-based: subject, body, html, data and options are stored once.

recipients: a JSON array of addresses, or of objects {"address", "id", "type", "data", "locale"}, up to what jsonb holds (256 MB; beyond that see enqueue_bulk_from).
message_type: campaign by default. The other arguments are those of postroad.enqueue; idempotency_key is for the call as a whole.

Returns batch_id and how many recipients were queued (or scheduled), suppressed (recorded, not sent), invalid (no such address, or an id that is no integer) and duplicate
(an address that is twice in the call; or all of them, with the first batch_id, when the key was seen). reason is set when the whole call is invalid: see enqueue.
Raises PR001 when recipients is not an array, and what enqueue raises.$$;

revoke all on function postroad.enqueue_bulk from public;
grant execute on function postroad.enqueue_bulk to postroad_sender;
