-- Sends the requests of a file in turn, and says at the end what became of them.
-- A line of the file is a path and, after a space, what stands in the Authorization header. The second argument is
-- the number of the request to begin with.
local requests, current = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local path, authorization = line:match("^(%S+) ?(.*)$")
    local headers = {}
    if authorization ~= "" then headers["Authorization"] = authorization end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
  current = tonumber(args[2]) % #requests
end

function request()
  current = current % #requests + 1
  return requests[current]
end

