create or replace function postroad.import_suppressions(
  addresses  text[],
  channels   text[] default '{}',
  tenant_ids text[] default '{}',
  reasons    text[] default '{}',
  expiries   text[] default '{}',
  sources    text[] default '{}',
  dry_run    boolean default false,
  out changed   integer,
  out unchanged integer,
  out bad_rows  integer[],
  out problems  text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set work_mem = '64MB'
set jit = off
as $$
declare
  keys text[];
  entry_channels text[];
  entry_tenants bigint[];
  entry_reasons text[];
  entry_expiries timestamptz[];
  entry_sources text[];
begin
  if greatest(cardinality(channels), cardinality(tenant_ids), cardinality(reasons), cardinality(expiries), cardinality(sources)) > cardinality(addresses) then
    raise exception 'each array must have as many elements as addresses, or none'
      using errcode = 'PR001';
  end if;
  with given as (
    select u.nth, btrim(u.address) as address, nullif(lower(btrim(u.channel)), '') as channel, nullif(btrim(u.tenant_id), '') as tenant_id,
      coalesce(nullif(btrim(u.reason), ''), 'manual') as reason, nullif(btrim(u.expires_at), '') as expires_at,
      coalesce(nullif(btrim(u.source), ''), session_user) as source
    from unnest(addresses, channels, tenant_ids, reasons, expiries, sources) with ordinality
      as u (address, channel, tenant_id, reason, expires_at, source, nth)
  ), read as materialized (
    select g.*,
      case
        when g.channel is not null then postroad.normalize_recipient(g.channel, g.address)
        when position('@' in g.address) > 0 then postroad.normalize_email(g.address)
        else postroad.normalize_phone(g.address)
      end as normalized,
      case when g.expires_at is not null then postroad.to_time(g.expires_at) end as expiry
    from given as g
  ), checked as materialized (
    select r.*,
      case
        when coalesce(r.address, '') = '' then 'no address'
        when r.channel <> all ('{email,sms,push,voice,in_app,webhook}') then 'unknown channel; known: email, sms, push, voice, in_app, webhook; none for all'
        when r.normalized is null and r.channel is null then 'neither an email address nor a number as +14155550123; other addresses need their channel'
        when r.normalized is null then 'not an address of its channel'
        when r.tenant_id is not null and not postroad.is_bigint(r.tenant_id) then 'tenant_id is no whole number'
        when r.expires_at is not null and r.expiry is null then 'expires_at is no time as 2030-12-31 or 2030-12-31T23:59:59Z'
        when length(r.reason) > 100 or r.reason ~ '[[:cntrl:]]' then 'reason is longer than 100 characters, or more than a line'
        when length(r.source) > 255 or r.source ~ '[[:cntrl:]]' then 'source is longer than 255 characters, or more than a line'
      end as problem
    from read as r
  )
  select
    array_agg(postroad.suppression_key(case when c.channel is null and position('@' in c.normalized) > 0 then 'email' else c.channel end, c.normalized))
      filter (where c.problem is null),
    array_agg(c.channel) filter (where c.problem is null),
    array_agg(case when c.problem is null then c.tenant_id::bigint end) filter (where c.problem is null),
    array_agg(c.reason) filter (where c.problem is null),
    array_agg(c.expiry) filter (where c.problem is null),
    array_agg(c.source) filter (where c.problem is null),
    coalesce(array_agg(c.nth order by c.nth) filter (where c.problem is not null), '{}'),
    coalesce(array_agg(c.problem order by c.nth) filter (where c.problem is not null), '{}')
  into keys, entry_channels, entry_tenants, entry_reasons, entry_expiries, entry_sources, bad_rows, problems
  from checked as c;

  if dry_run or keys is null then
    changed := 0;
  else
    changed := postroad.put_suppressions(keys, entry_channels, entry_tenants, entry_reasons, entry_expiries, entry_sources, is_told => false);
    if changed > 0 then
      perform postroad.audit('import_suppressions', format('%s entries', changed));
    end if;
  end if;
  unchanged := coalesce(cardinality(keys), 0) - changed;
end;
$$;

comment on function postroad.import_suppressions is
$$Puts many addresses on the suppression list, one element of each array an entry, as text (an array that is null throughout may be empty): channel (none: all), tenant_id
(none: all), reason (default: manual), expires_at (default: for good; UTC where it says no zone) and source (default: the role). As suppress, an entry is never shortened.
It makes no system events. What is not right is left out: bad_rows counts from 1, problems says why. dry_run: only looks. `postroad suppressions import` reads CSV into it; see import_suppressions_from
for psql. Give some 10,000 a call: an outcome for one of these addresses waits for the end of the transaction.$$;

revoke all on function postroad.import_suppressions from public;
grant execute on function postroad.import_suppressions to postroad_admin;

create or replace function postroad.to_time(text)
returns timestamptz
language plpgsql
stable
as $$
begin
  if $1 ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)? ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$' then
    return $1::timestamptz;
  end if;
  return null;
exception
  when data_exception then                       -- the 30th of February
    return null;
end;
$$;

comment on function postroad.to_time is 'A time in ISO 8601, or null when it is none.';

create or replace function postroad.import_suppressions_from(
  entries regclass,
  dry_run boolean default false,
  out changed   bigint,
  out unchanged bigint,
  out invalid   bigint,
  out problems  text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_hashagg = off        -- it would hold the whole table
as $$
declare
  columns text[];
  chunk record;
  done record;
  rows bigint := 0;
  sheet refcursor;
  list text;
begin
  columns := array(
    select a.attname::text
    from pg_attribute as a
    where a.attrelid = entries and a.attnum > 0 and not a.attisdropped
  );
  if not 'address' = any (columns) or not columns <@ '{address,channel,tenant_id,reason,expires_at,source}' then
    raise exception 'a list of suppressions has the columns address and, if you like, channel, tenant_id, reason, expires_at, source'
      using errcode = 'PR001', hint = 'Such as create temporary table entries (address text, reason text).';
  end if;
  select string_agg(case when c = any (columns) then format('array_agg(x.%I::text)', c) else '''{}''::text[]' end || format(' as %I', c), ', ')
  into list
  from unnest('{address,channel,tenant_id,reason,expires_at,source}'::text[]) as c;
  changed := 0;
  unchanged := 0;
  invalid := 0;
  problems := '{}';
  open sheet for execute format(
    'select %s from (select e.*, (row_number() over () - 1) / 10000 as "the chunk" from %s as e) as x group by x."the chunk" order by x."the chunk"', list, entries);
  loop
    fetch sheet into chunk;
    exit when not found;
    select i.changed, i.unchanged, i.bad_rows, i.problems into done
    from postroad.import_suppressions(chunk.address, chunk.channel, chunk.tenant_id, chunk.reason, chunk.expires_at, chunk.source, dry_run) as i;
    changed := changed + done.changed;
    unchanged := unchanged + done.unchanged;
    invalid := invalid + cardinality(done.bad_rows);
    problems := problems || array(
      select format('row %s: %s', rows + u.nth, u.problem)
      from unnest(done.bad_rows, done.problems) as u (nth, problem)
      limit greatest(20 - cardinality(problems), 0)
    );
    rows := rows + cardinality(chunk.address);
  end loop;
  close sheet;
end;
$$;

comment on function postroad.import_suppressions_from is
$$As import_suppressions, from a table of yours, with the column address and any of channel, tenant_id, reason, expires_at, source, and your rights to it. In psql:
create temporary table entries (address text, reason text); \copy entries from 'list.csv' csv header; select * from postroad.import_suppressions_from('entries');
problems are the first 20. Raises PR001 when the table has other columns.$$;

revoke all on function postroad.import_suppressions_from from public;
grant execute on function postroad.import_suppressions_from to postroad_admin;

create or replace function postroad.export_suppressions()
returns table (
  address    text,
  channel    text,
  tenant_id  bigint,
  reason     text,
  expires_at timestamptz,
  source     text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select s.address, s.channel, s.tenant_id, s.reason, s.expires_at, s.source
  from postroad.suppression_list as s
  where s.expires_at is null or s.expires_at > clock_timestamp()
  order by s.address, s.channel, s.tenant_id;
end;
$$;

comment on function postroad.export_suppressions is
$$The suppression list as it holds now, as import_suppressions takes it. In psql: \copy (select * from postroad.export_suppressions()) to 'list.csv' csv header$$;

revoke all on function postroad.export_suppressions from public;
grant execute on function postroad.export_suppressions to postroad_admin;
