create or replace function postroad.enqueue_bulk_from(
  channel         text,
  recipients      regclass,
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
security invoker                                 -- it reads a table of the caller's
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  p smallint;
  verdict text;
  columns text[];
  source text;
  rows_at_a_time constant integer := 10000;
  chunk record;
  done record;
begin
  columns := array(
    select a.attname::text from pg_attribute as a where a.attrelid = recipients and a.attnum > 0 and not a.attisdropped
  );
  if not columns @> '{address}' then
    raise exception 'table % has no column address', recipients
      using errcode = 'PR001', hint = 'Columns: address text, and if wanted id bigint, type text, data jsonb, locale text.';
  end if;
  if not exists (select from pg_class as c where c.oid = recipients and c.relkind in ('r', 'p', 'm')) then
    raise exception '% is not a table', recipients
      using errcode = 'PR001', hint = 'Make a temporary table of it: create temporary table … as select …';
  end if;
  queued := 0;
  suppressed := 0;
  invalid := 0;
  duplicate := 0;
  select b.batch_id, b.priority_number, b.verdict, b.reason into batch_id, p, verdict, reason
  from postroad.begin_bulk(channel, subject, body, html, template, data, message_type, priority, scheduled_for, expires_at,
    idempotency_key, tenant_id, options,
    case when idempotency_key is not null then jsonb_build_array(
      recipients::text, locale, source_type, source_id, ip_pool, gateway) end) as b;
  if verdict is not null then
    execute format('select count(*) from %s', recipients) into done;
    if verdict = 'duplicate' then
      duplicate := done.count;
    else
      invalid := done.count;
    end if;
    return;
  end if;

  -- An address that is twice in the table is sent to once, though the rows go in by chunks: all but its first row are passed over.
  execute format($q$
    select count(*) - count(distinct lower(btrim(t.address::text))) from %s as t where t.address is not null
  $q$, recipients) into done;
  source := format($q$
    select t.address::text as address, %s as id, %s as type, %s as locale, %s as data%s
    from %s as t
  $q$,
    case when columns @> '{id}' then 't.id::bigint' else 'null::bigint' end,
    case when columns @> '{type}' then 't.type::text' else 'null::text' end,
    case when columns @> '{locale}' then 't.locale::text' else 'null::text' end,
    case when columns @> '{data}' then 't.data::jsonb' else 'null::jsonb' end,
    case when done."?column?" > 0
      then ', row_number() over (partition by lower(btrim(t.address::text)) order by t.tableoid, t.ctid) as copy' else ', 1 as copy' end,
    recipients);
  for chunk in execute format($q$
    select array_agg(s.address) filter (where s.copy = 1 or s.address is null) as addresses,
      array_agg(s.id) filter (where s.copy = 1 or s.address is null) as ids,
      array_agg(s.type) filter (where s.copy = 1 or s.address is null) as types,
      array_agg(s.locale) filter (where s.copy = 1 or s.address is null) as locales,
      array_agg(s.data) filter (where s.copy = 1 or s.address is null) as data,
      count(*) filter (where s.copy > 1 and s.address is not null) as copies
    from (select n.*, (row_number() over () - 1) / %s as chunk from (%s) as n) as s
    group by s.chunk
  $q$, rows_at_a_time, source) loop
    duplicate := duplicate + chunk.copies;
    continue when chunk.addresses is null;
    select r.* into done
    from postroad.enqueue_rows(batch_id, channel, chunk.addresses, chunk.ids, chunk.types, chunk.locales, chunk.data, message_type, p,
      scheduled_for, expires_at, source_type, source_id, tenant_id, ip_pool, gateway, locale) as r;
    queued := queued + done.queued;
    suppressed := suppressed + done.suppressed;
    invalid := invalid + done.invalid;
    duplicate := duplicate + done.duplicate;
  end loop;
end;
$$;

comment on function postroad.enqueue_bulk_from is
$$postroad.enqueue_bulk with the recipients in a table (temporary ones too) of the caller's, of any size: columns address, and if wanted id, type, data, locale.
The fastest way in, and the one beyond the 256 MB that jsonb holds. An idempotency key stands for the call and the table's name, not for its rows.
Raises PR001 when it is not a table or has no column address, and what enqueue raises.$$;

revoke all on function postroad.enqueue_bulk_from from public;
grant execute on function postroad.enqueue_bulk_from to postroad_sender;
