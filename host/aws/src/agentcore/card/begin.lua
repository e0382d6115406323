-- Takes the lease of a card for one write, or says why not.
-- KEYS: card, write, floor of versions. ARGV: token, lease in ms, write, digest, '1' when a write that was applied gets the lease as well.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local fresh = redis.call('HGET', KEYS[1], 'r') == history()
local applied = redis.call('HGET', KEYS[1], 'a:' .. ARGV[3])
local entry = applied and string.sub(applied, (string.find(applied, '|', 1, true)) + 1) or ''
if applied and ARGV[5] ~= '1' then
  return {'again', entry}
end
local digest = redis.call('GET', KEYS[2])
if digest and digest ~= ARGV[4] then
  return {'other'}
end
local lease_until = redis.call('HGET', KEYS[1], 'u')
if lease_until and tonumber(lease_until) > now then
  return {'busy', string.format('%.0f', tonumber(lease_until) - now)}
end
-- Microseconds in the low bits, so that two writes of one millisecond differ also across cards. All exact below 2^53.
local version = now * 1024 + tonumber(clock[2]) % 1000
local last = redis.call('HGET', KEYS[1], 'n')
if last and tonumber(last) >= version then
  version = tonumber(last) + 1
end
local text = string.format('%.0f', version)
redis.call('HSET', KEYS[1], 'l', ARGV[1], 'u', string.format('%.0f', now + tonumber(ARGV[2])), 'n', text)
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'NX')
local head = redis.call('HGET', KEYS[1], 'h')
local dirty = lease_until or not fresh
return {'go', text, dirty and '1' or '0', head and '1' or '0', head or '', entry, redis.call('GET', KEYS[3]) or '0'}
