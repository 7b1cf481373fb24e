package symptoms

// Apache httpd: the MPMs and mod_proxy_http, whose lines bear numbers AHnnnnn.
var apache = []Symptom{
	{
		Source: "apache", Title: "Apache had no thread left for a request",
		Literals: []string{`AH00484:`, `AH03490:`, `AH00161:`, `AH00286:`},
		Causes:   only("every proxied poll keeps one of MaxRequestWorkers (400 by default under mpm_event)", "proxy/holds"),
		Do:       "raise MaxRequestWorkers, ServerLimit and ThreadsPerChild together",
	},
	{
		Source: "apache", Title: "Apache gave up on the application's answer",
		Literals: []string{`AH01102:`, `AH01110:`},
		Causes: []Cause{
			{"(70007) the poll was held for longer than ProxyTimeout, 60 s unless set", []string{"proxy/timeout"}},
			{"(104) or no number: the application closed the connection by keep-alive, at a restart, or killed", []string{"app/keepalive", "app/timeout"}},
		},
		Do: "set ProxyTimeout above the longest hold; where the line has no (70007) see the application's log",
	},
	{
		Source: "apache", Title: "Apache could not connect to the application",
		Literals: []string{`AH00957:`, `AH01114:`},
		Causes: []Cause{
			{"(111) the application does not run, or listens elsewhere", []string{"app/found"}},
			{"(13) SELinux forbids it", nil},
			{"(99) no local port is left", []string{"host/port-range"}},
		},
		Do: "the number in front tells which; the application's own log tells why it does not run",
	},
}
