create or replace function postroad.http_messages(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  p constant jsonb := call -> 'parameters';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  page_size integer;
  -- A page looks at so many messages at most, however few of them fit: each has its status derived only when that is asked for.
  budget constant integer := case when p ? 'status' then 2000 else 20000 end;
  wanted_source constant text := split_part(p ->> 'source', ':', 1);
  wanted_source_id constant text := nullif(substr(p ->> 'source', length(split_part(p ->> 'source', ':', 1)) + 2), '');
  seen integer := 0;
  last_id uuid;
  m record;
  items jsonb[] := '{}';
begin
  body := postroad.request_problem('GET', '/messages', call);
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  page_size := coalesce((p ->> 'limit')::integer, 50);
  last_id := coalesce(postroad.read_cursor(p ->> 'cursor'), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  for m in
    select x.message_id, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id
    from postroad.messages as x
    where bound is null
      and x.message_id < last_id
    union all
    select x.message_id, x.channel, x.message_type, x.priority, x.source_type, x.source_id, x.batch_id
    from postroad.messages as x
    where x.tenant_id = bound                    -- else nothing, at no cost
      and x.message_id < last_id
    order by message_id desc
    limit budget
  loop
    seen := seen + 1;
    last_id := m.message_id;
    if (not p ? 'channel' or m.channel = p ->> 'channel')
      and (not p ? 'message_type' or m.message_type = p ->> 'message_type')
      and (not p ? 'priority' or 'P' || m.priority = p ->> 'priority')
      and (not p ? 'source' or m.source_type = wanted_source and (wanted_source_id is null or m.source_id::text = wanted_source_id))
      and (not p ? 'batch_id' or m.batch_id = (p ->> 'batch_id')::uuid)
      and (not p ? 'status' or (select s.status from postroad.status(m.message_id) as s) = p ->> 'status')
    then
      items := items || postroad.message_json(m.message_id);
      exit when cardinality(items) >= page_size;
    end if;
  end loop;
  status := 200;
  body := jsonb_build_object('messages', to_jsonb(items),
    'next_cursor', case when cardinality(items) >= page_size or seen >= budget then postroad.write_cursor(last_id) end);
end;
$$;

comment on function postroad.http_messages is
$$GET /messages: the newest first. A page looks at 20,000 messages at most, 2,000 when status is asked for: it may be short, or empty, and next_cursor goes on from there;
without next_cursor there are no more.$$;

revoke all on function postroad.http_messages from public;
grant execute on function postroad.http_messages to postroad_http;

select postroad.put_route('GET', '/messages', 'http_messages', '{reader,admin}', 'Messages, the newest first',
  cost => 5,
  parameters => '{
    "status": {"in": "query", "schema": {"type": "string", "enum": ["scheduled", "queued", "processing", "sent", "delivered", "bounced", "failed", "cancelled", "expired", "suppressed", "unknown"]}},
    "channel": {"in": "query", "schema": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]}},
    "message_type": {"in": "query", "schema": {"type": "string", "enum": ["emergency", "alert", "newsletter", "campaign", "transactional"]}},
    "priority": {"in": "query", "schema": {"type": "string", "enum": ["P0", "P1", "P2", "P3", "P4"]}},
    "source": {"in": "query", "schema": {"type": "string", "minLength": 1, "maxLength": 300}, "description": "A source_type, or source_type:source_id."},
    "batch_id": {"in": "query", "schema": {"type": "string", "format": "uuid"}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
    "cursor": {"in": "query", "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}, "description": "next_cursor of the page before. A page may be short, or empty: it goes on until there is no next_cursor."}
  }',
  response => jsonb_build_object('type', 'object', 'required', '["messages"]'::jsonb, 'properties', jsonb_build_object(
    'messages', jsonb_build_object('type', 'array', 'items', postroad.message_response()),
    'next_cursor', '{"type": ["string", "null"]}'::jsonb)));
