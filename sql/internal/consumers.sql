create or replace function postroad.consumer_owner()
returns text
language sql
stable
as $$
  select case
    when pg_has_role(session_user, 'postroad_http', 'member') then coalesce(nullif(current_setting('postroad.caller', true), ''), session_user)
    else session_user
  end
$$;

comment on function postroad.consumer_owner is
'To whom a reader of events belongs that is registered now: the caller of the HTTP API, whom only a server may name, or the database user.';

create or replace function postroad.check_consumer_owner(consumer text, owner text)
returns void
language plpgsql
stable
as $$
declare
  caller constant text := nullif(current_setting('postroad.caller', true), '');
begin
  if owner = postroad.consumer_owner() or owner is null
    or caller is null and (owner = session_user or pg_has_role(session_user, 'postroad_admin', 'member'))
  then
    return;
  end if;
  -- What comes over HTTP comes as the server's user, whatever else that one may do. A key that replaces another has its name.
  if owner ~ '^(key|jwt):' and exists (
    select
    from postroad.api_keys as mine
    where 'key:' || mine.key_id = postroad.consumer_owner()
      and ('admin' = any (mine.roles) or exists (select from postroad.api_keys as other where 'key:' || other.key_id = owner and other.name = mine.name))
  ) then
    return;
  end if;
  raise exception 'consumer % belongs to %', quote_literal(consumer), quote_ident(owner)
    using errcode = 'insufficient_privilege', hint = 'Who registered it may read and end it, and an operator (postroad_admin) in SQL.';
end;
$$;

comment on function postroad.check_consumer_owner is
$$Raises 42501 (insufficient_privilege) unless a reader of events belongs to who asks: the database user, or the caller of the HTTP API, who registered it. Others that may: an
operator (postroad_admin) in SQL; over HTTP, of what was registered there, a key with the role admin, or of the same name.$$;
