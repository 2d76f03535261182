create or replace function postroad.http_send_bulk(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  wrong bigint;
  sent record;
begin
  body := postroad.bulk_problem(call);
  if body is null then
    select r.nth - 1 into wrong                  -- thousands: one pass, not one call each
    from jsonb_array_elements(b -> 'recipients') with ordinality as r (item, nth)
    where not case jsonb_typeof(r.item)
      when 'string' then true
      when 'object' then r.item - '{address,id,type,data,locale}'::text[] = '{}'
        and jsonb_typeof(r.item -> 'address') = 'string'
        and coalesce(jsonb_typeof(r.item -> 'id'), 'null') in ('number', 'null')
        and coalesce(jsonb_typeof(r.item -> 'type'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(r.item -> 'locale'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(r.item -> 'data'), 'null') in ('object', 'null')
      else false
    end is true
    order by r.nth
    limit 1;
    if found then
      body := postroad.problem(400, 'invalid_request', 'A recipient is not as the route wants it; see errors.', postroad.error_at(
        '#/recipients/' || wrong, 'must be an address, or an object with address and, if wanted, id, type, data and locale'));
    end if;
  end if;
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.batch_id, e.queued, e.suppressed, e.invalid, e.duplicate, e.reason into sent
  from postroad.enqueue_bulk(
    channel => b ->> 'channel',
    recipients => b -> 'recipients',
    subject => b ->> 'subject',
    body => b ->> 'body',
    html => b ->> 'html',
    template => b ->> 'template',
    data => nullif(b -> 'data', 'null'),
    locale => b ->> 'locale',
    message_type => coalesce(b ->> 'message_type', 'campaign'),
    priority => b ->> 'priority',
    scheduled_for => postroad.read_date_time(b ->> 'scheduled_for'),
    expires_at => postroad.read_date_time(b ->> 'expires_at'),
    idempotency_key => b ->> 'idempotency_key',
    source_type => b ->> 'source_type',
    source_id => (b ->> 'source_id')::numeric::bigint,
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    ip_pool => b ->> 'ip_pool',
    gateway => b ->> 'gateway',
    options => nullif(b -> 'options', 'null')) as e;
  if sent.batch_id is null or sent.reason = 'key_reused' then
    body := postroad.reason_problem(sent.reason);
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := case when sent.reason = 'idempotency_key' then 200 else 202 end;
  body := jsonb_build_object('batch_id', sent.batch_id, 'queued', sent.queued, 'suppressed', sent.suppressed, 'invalid', sent.invalid,
    'duplicate', sent.duplicate);
end;
$$;

comment on function postroad.http_send_bulk is 'POST /messages/bulk: postroad.enqueue_bulk, of 10,000 recipients at most. More come as a stream: see http_bulk_from.';

revoke all on function postroad.http_send_bulk from public;
grant execute on function postroad.http_send_bulk to postroad_http;

create or replace function postroad.http_bulk_from(
  call       jsonb,
  recipients regclass,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  b constant jsonb := call -> 'body';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  sent record;
begin
  -- It is read with the rights of this function's owner: nothing in it may be code of the caller's.
  if not exists (
    select
    from pg_class as c
    where c.oid = recipients
      and c.relpersistence = 't'
      and c.relkind = 'r'
      and not c.relrowsecurity
      and not c.relhassubclass
  ) or exists (
    select
    from pg_attribute as a
    where a.attrelid = recipients
      and a.attnum > 0
      and not a.attisdropped
      and a.atttypid not in ('text'::regtype, 'bigint'::regtype, 'jsonb'::regtype)
  ) then
    raise exception 'recipients must be a temporary table of text, bigint and jsonb'
      using errcode = 'PR001';
  end if;
  body := postroad.bulk_problem(jsonb_set(call, '{body,recipients}', '["streamed"]'));
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  select e.batch_id, e.queued, e.suppressed, e.invalid, e.duplicate, e.reason into sent
  from postroad.enqueue_bulk_from(
    channel => b ->> 'channel',
    recipients => recipients,
    subject => b ->> 'subject',
    body => b ->> 'body',
    html => b ->> 'html',
    template => b ->> 'template',
    data => nullif(b -> 'data', 'null'),
    locale => b ->> 'locale',
    message_type => coalesce(b ->> 'message_type', 'campaign'),
    priority => b ->> 'priority',
    scheduled_for => postroad.read_date_time(b ->> 'scheduled_for'),
    expires_at => postroad.read_date_time(b ->> 'expires_at'),
    idempotency_key => b ->> 'idempotency_key',
    source_type => b ->> 'source_type',
    source_id => (b ->> 'source_id')::numeric::bigint,
    tenant_id => coalesce(bound, (b ->> 'tenant_id')::numeric::bigint),
    ip_pool => b ->> 'ip_pool',
    gateway => b ->> 'gateway',
    options => nullif(b -> 'options', 'null')) as e;
  if sent.batch_id is null or sent.reason = 'key_reused' then
    body := postroad.reason_problem(sent.reason);
    status := (body ->> 'status')::smallint;
    return;
  end if;
  status := case when sent.reason = 'idempotency_key' then 200 else 202 end;
  body := jsonb_build_object('batch_id', sent.batch_id, 'queued', sent.queued, 'suppressed', sent.suppressed, 'invalid', sent.invalid,
    'duplicate', sent.duplicate);
end;
$$;

comment on function postroad.http_bulk_from is
$$POST /messages/bulk of a stream, whose recipients the server has copied into a temporary table (address, id, type, data, locale): postroad.enqueue_bulk_from. All of
them or none.$$;

revoke all on function postroad.http_bulk_from from public;
grant execute on function postroad.http_bulk_from to postroad_http;

select postroad.put_route('POST', '/messages/bulk', 'http_send_bulk', '{sender}', 'Send one content to many recipients',
  success => 202,
  cost => 10,
  is_stream => true,
  request => jsonb_set(postroad.message_schema() #- '{properties,recipient}' #- '{properties,recipient_type}' #- '{properties,recipient_id}'
    || '{"required": ["channel", "recipients"]}', '{properties,recipients}', '{
      "type": "array",
      "minItems": 1,
      "maxItems": 10000,
      "x-checked-in-bulk": true,
      "items": {
        "type": ["string", "object"],
        "required": ["address"],
        "additionalProperties": false,
        "properties": {
          "address": {"type": "string"},
          "id": {"type": ["number", "null"]},
          "type": {"type": ["string", "null"]},
          "data": {"type": ["object", "null"]},
          "locale": {"type": ["string", "null"]}
        }
      }
    }'),
  response => '{
    "type": "object",
    "required": ["batch_id", "queued", "suppressed", "invalid", "duplicate"],
    "properties": {
      "batch_id": {"type": "string", "format": "uuid"},
      "queued": {"type": "integer"},
      "suppressed": {"type": "integer"},
      "invalid": {"type": "integer"},
      "duplicate": {"type": "integer"}
    }
  }');
