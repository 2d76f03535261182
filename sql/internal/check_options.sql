create or replace function postroad.check_options(channel text, options jsonb)
returns text
language plpgsql
immutable
as $$
declare
  option text;
  given jsonb;
begin
  if jsonb_typeof(options) <> 'object' then
    return 'expected a JSON object, got ' || jsonb_typeof(options);
  end if;
  for option, given in select o.key, o.value from jsonb_each(options) as o loop
    case option
      when 'from', 'reply_to' then
        if jsonb_typeof(given) <> 'string' then
          return option || ' must be a string';
        end if;
      when 'cc', 'bcc', 'tags' then
        if jsonb_typeof(given) <> 'array' or jsonb_path_exists(given, 'strict $[*] ? (@.type() != "string")') then
          return option || ' must be an array of strings';
        end if;
      when 'headers' then
        if jsonb_typeof(given) <> 'object' or jsonb_path_exists(given, 'strict $.* ? (@.type() != "string")') then
          return 'headers must be an object of strings';
        end if;
        if channel in ('email', 'webhook') and postroad.check_header_names(channel, given) is not null then
          return postroad.check_header_names(channel, given);
        end if;
      when 'attachments' then
        if jsonb_typeof(given) <> 'array' or exists (
          select from jsonb_path_query(given, 'strict $[*]') as a (attachment)
          where jsonb_typeof(a.attachment -> 'filename') is distinct from 'string'
            or jsonb_typeof(a.attachment -> 'content') is distinct from 'string'
            or coalesce(jsonb_typeof(a.attachment -> 'content_type'), 'null') not in ('string', 'null')
            or coalesce(jsonb_typeof(a.attachment -> 'content_id'), 'null') not in ('string', 'null')
        ) then
          return 'attachments must be an array of objects with filename and content (base64), and content_type and content_id where they have them (strings)';
        end if;
      when 'on_unknown' then
        if given not in ('"resend"', '"hold"') then
          return 'on_unknown must be resend or hold';
        end if;
      when 'max_attempts' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,3}$' and given::integer between 1 and 100) is not true then
          return 'max_attempts must be a whole number from 1 to 100';
        end if;
      when 'tracking' then
        if jsonb_typeof(given) <> 'boolean' then
          return 'tracking must be true or false';
        end if;
      when 'traceparent' then                    -- one that is garbled ends no transaction: whoever reads it goes on without
        if jsonb_typeof(given) <> 'string' or octet_length(given::text) > 300 then
          return 'traceparent must be a string, as the header of W3C Trace Context';
        end if;
      when 'push' then
        if postroad.check_push(given) is not null then
          return postroad.check_push(given);
        end if;
      when 'sms' then
        if jsonb_typeof(given) <> 'object' or given - '{media_urls,validity_seconds}'::text[] <> '{}'
            or coalesce(jsonb_typeof(given -> 'media_urls') <> 'array', false) or coalesce(jsonb_path_exists(given -> 'media_urls', 'strict $[*] ? (@.type() != "string")'), false)
            or coalesce((given ->> 'validity_seconds') !~ '^[0-9]{1,6}$' or jsonb_typeof(given -> 'validity_seconds') <> 'number'
              or (given ->> 'validity_seconds')::numeric not between 1 and 172800, false) then
          return 'sms must be an object with media_urls (an array of strings) and validity_seconds (1 to 172800)';
        end if;
      when 'voice' then
        if jsonb_typeof(given) <> 'object' or given - '{language,voice}'::text[] <> '{}' or jsonb_path_exists(given, 'strict $.* ? (@.type() != "string")') then
          return 'voice must be an object with language and voice (strings)';
        end if;
      else
        return format('unknown option %L', left(option, 40));
    end case;
  end loop;
  return null;
end;
$$;

comment on function postroad.check_options is 'What is wrong with the options of a message, or null.';

create or replace function postroad.check_header_names(channel text, headers jsonb)
returns text
language sql
immutable
as $$
  select case
      when h.is_name and h.is_twice then format('the header %L is there twice, in other capitals', left(h.name, 40))
      when h.is_name then format('the header %L is not the caller''s to set', left(h.name, 40))
      else format('%L cannot be the name of a header%s', left(h.name, 40),
        case channel when 'email' then ': 1 to 76 printable ASCII characters, no space, no colon' else '' end)
    end
  from (
    select k.name, k.name ~ case channel when 'email' then '^[!-9;-~]{1,76}$' else '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' end as is_name,
      count(*) over (partition by lower(k.name collate "C")) > 1 as is_twice
    from jsonb_object_keys(headers) as k (name)
  ) as h
  where not h.is_name
    or h.is_twice
    or h.name ~* case channel
      when 'email' then
        '^((from|sender|to|cc|bcc|subject|date|message-id|mime-version|return-path|received|dkim-signature|x-tags|x-smtpapi)$|content-|resent-)'
      else '^((connection|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$|content-|proxy-|webhook-)'
    end
  order by h.name
  limit 1
$$;

comment on function postroad.check_header_names is
$$What is wrong with the names of a mail's or a webhook's headers, or null: RFC 5322, section 2.2; RFC 9110, section 5.6.2; those that say where it ends and to whom it goes are written by Postroad or the
relay (RFC 5322, sections 3.6.2 to 3.6.7; RFC 9110, section 7.2). The gateways look once more.$$;

create or replace function postroad.options_reason(channel text, options jsonb)
returns text
language plpgsql
immutable
as $$
declare
  wrong text;
begin
  if channel not in ('email', 'webhook') or options is null then
    return null;
  end if;
  if exists (
    select
    from jsonb_each_text(options -> 'headers') as h
    where h.value ~ case channel when 'email' then E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f-\\u009f]' else E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f]' end
  ) then
    return 'invalid_header';
  elsif channel = 'webhook' then
    return null;
  end if;
  select 'invalid_' || k.name into wrong
  from unnest('{from,reply_to,cc,bcc}'::text[]) with ordinality as k (name, nth),
    jsonb_path_query(options -> k.name, '$[*]') as a (mailbox)
  where not postroad.is_mailbox(a.mailbox #>> '{}')
  order by k.nth
  limit 1;
  if wrong is not null then
    return wrong;
  elsif exists (
    select
    from jsonb_array_elements_text(options -> 'tags') as t (tag)
    where t.tag ~ E'[\\u0001-\\u0008\\u000a-\\u001f\\u007f-\\u009f]'
  ) then
    return 'invalid_tag';
  elsif exists (
    select
    from jsonb_array_elements(options -> 'attachments') as a (attachment)
    where a.attachment ->> 'filename' ~ E'[\\u0001-\\u001f\\u007f-\\u009f]'
      or a.attachment ->> 'content_type' !~ '^([A-Za-z0-9!#$%&''*+.^_`|~-]+/[A-Za-z0-9!#$%&''*+.^_`|~-]+ *(;[ -~]*)?$|[Mm][Uu][Ll][Tt][Ii][Pp][Aa][Rr][Tt]/|[Mm][Ee][Ss][Ss][Aa][Gg][Ee]/)'
      or a.attachment ->> 'content_id' !~ '^[]!#-;=?-[^-~]{1,200}$'
      or not postroad.is_base64(a.attachment ->> 'content')
  ) then
    return 'invalid_attachment';
  end if;
  return null;
end;
$$;

comment on function postroad.options_reason is
$$Which of the options of a mail or a webhook holds what can never go out, or null: invalid_header (a control character in a value), invalid_from,
invalid_reply_to, invalid_cc, invalid_bcc (not one address, or Name <address>), invalid_tag (a control character), invalid_attachment (a content that is no base64, a content_type that is no media
type, a content_id of other than 1 to 200 characters that fit between angle brackets, a control character in a filename). It accepts more than the gateways do, which look once more.$$;

create or replace function postroad.is_mailbox(mailbox text)
returns boolean
language sql
immutable parallel safe
as $$
  select mailbox !~ E'[\\u0001-\\u001f\\u007f-\\u009f]'
    and mailbox ~ (E'^(.*<)?[\\s\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*'
      || '([^]\s<>@,;:".\\()[]+([.][^]\s<>@,;:".\\()[]+)*|"([^\s<>"\\]|\\[^\s<>])*")@([^]\s<>@,;"().[]+([.][^]\s<>@,;"().[]+)*|\[[0-9A-Za-z.:]+\])'
      || E'>?[\\s\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*$')
    and (position('<' in mailbox) > 0) = (position('>' in mailbox) > 0)
$$;

comment on function postroad.is_mailbox is 'Whether a text may be one address, or Name <address> (RFC 5322, section 3.4).';

create or replace function postroad.is_base64(content text)
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return decode(content, 'base64') is not null;
exception
  when others then
    content := rtrim(regexp_replace(content, '\s', '', 'g'), '=');        -- without its padding, perhaps
    begin
      return length(content) % 4 <> 1 and decode(rpad(content, (length(content) + 3) / 4 * 4, '='), 'base64') is not null;
    exception
      when others then
        return false;
    end;
end;
$$;

comment on function postroad.is_base64 is 'Whether a text is base64 (RFC 4648, section 4), with or without line breaks and padding.';

create or replace function postroad.check_push(push jsonb)
returns text
language plpgsql
immutable
as $$
declare
  option text;
  given jsonb;
begin
  if jsonb_typeof(push) <> 'object' then
    return 'push must be an object';
  end if;
  for option, given in select p.key, p.value from jsonb_each(push) as p loop
    case option
      when 'sound', 'image', 'click_action', 'collapse_key' then
        if jsonb_typeof(given) <> 'string' then
          return format('push.%s must be a string', option);
        end if;
      when 'badge' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,9}$') is not true then
          return 'push.badge must be a whole number from 0 to 999999999';
        end if;
      when 'ttl' then
        if jsonb_typeof(given) <> 'number' or (given::text ~ '^[0-9]{1,7}$' and given::integer <= 2419200) is not true then
          return 'push.ttl must be a whole number of seconds from 0 to 2419200 (28 days)';
        end if;
      when 'android', 'apns', 'webpush' then
        if jsonb_typeof(given) <> 'object' then
          return format('push.%s must be an object', option);
        end if;
      else
        return format('unknown option push.%s; accepted: badge, sound, image, click_action, collapse_key, ttl, android, apns, webpush', left(option, 40));
    end case;
  end loop;
  return null;
end;
$$;

comment on function postroad.check_push is 'What is wrong with the option push of a message, or null.';
